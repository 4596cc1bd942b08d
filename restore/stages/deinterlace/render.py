"""`deinterlace`: deciding what every new frame is made of, and making it. Works on native samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch

from restore.frames import Frame, Planes, Shot, VideoFormat
from restore.pipeline.contract import Timeline, TimelineStage, Watcher
from restore.stages.deinterlace.analysis import (
    PARTS,
    FieldWatcher,
    How,
    Row,
    ShotFields,
    field_rows,
    film_rows,
    first_field,
    judge,
    woven_rows,
)
from restore.stages.deinterlace.interpolate import interpolated
from restore.stages.deinterlace.options import DeinterlaceOptions

_TOP_FIRST = 1 << 4
"""Added to `How` in a row: the top field comes first in time."""


class Deinterlace(TimelineStage[DeinterlaceOptions]):
    """Weaves fields that belong together, drops repeated film frames, interpolates the rest."""

    name = "deinterlace"
    version = 2
    makes_progressive = True

    def output_format(self, format: VideoFormat) -> VideoFormat:
        """A finer time base; twice the nominal rate if every field becomes a frame."""
        rate = format.frame_rate * (2 if self.options.rate == "field" else 1)
        return replace(format, time_base=format.time_base / PARTS, frame_rate=Fraction(rate))

    def watcher(self, format: VideoFormat) -> FieldWatcher:
        """What measures the fields."""
        return FieldWatcher(format)

    def find(self, seen: Watcher, pts: Sequence[int], shots: Sequence[Shot]) -> Timeline:
        """See `TimelineStage.find`."""
        assert isinstance(seen, FieldWatcher)
        measured = seen.shots(shots)
        asked = self.options.field_order
        top_first = first_field(measured, asked) if asked == "auto" else asked == "tff"
        rows: list[tuple[int, Row]] = []
        kinds: Counter[str] = Counter()
        for fields in measured:
            shot = fields.shot
            own, end = pts[shot.start : shot.end], pts[shot.end]
            kind = self._kind(fields, top_first)
            kinds[kind] += len(shot)
            if kind == "telecine":
                rows += film_rows(fields, top_first, own, end)
            elif kind == "interlaced":
                rows += field_rows(shot, top_first, self.options.rate == "field", own, end)
            else:
                rows += woven_rows(shot, own)
        table = np.array([row for _, row in rows], dtype=np.int32)
        table[:, 1] += _TOP_FIRST * top_first
        times = np.array([time for time, _ in rows], dtype=np.int64)
        found = ", ".join(f"{count} frames {kind}" for kind, count in kinds.most_common())
        first = "top" if top_first else "bottom"
        note = f"deinterlace: {found}; {first} field first; {len(pts) - 1} frames became {len(rows)}"
        return Timeline(times, table, PARTS * pts[-1] - int(times[-1]), note)

    def _kind(self, fields: ShotFields, top_first: bool) -> str:
        forced = {"deinterlace": "interlaced", "telecine": "telecine", "weave": "progressive"}.get(self.options.mode)
        return forced or judge(fields, top_first).kind

    def needs(self, row: npt.NDArray[np.int32]) -> range:
        """See `TimelineStage.needs`."""
        _, how, top, bottom, first, stop = (int(value) for value in row)
        if how & 3 == How.WEAVE:
            return range(min(top, bottom), max(top, bottom) + 1)
        return range(max(first, top - 1), min(stop, top + 2))

    def untouched(self, rows: npt.NDArray[np.int32]) -> bool:
        """See `TimelineStage.untouched`."""
        source, how, top, bottom = rows[:, :4].T
        return bool((how & 3 == How.WEAVE).all() and (top == bottom).all() and (source == top).all())

    def compose(self, frames: Mapping[int, Frame], row: npt.NDArray[np.int32], format: VideoFormat) -> Planes:
        """See `TimelineStage.compose`."""
        _, how, top, bottom, first, stop = (int(value) for value in row)
        if how & 3 == How.WEAVE:
            if top == bottom:
                return frames[top].planes
            return tuple(_woven(a, b) for a, b in zip(frames[top].planes, frames[bottom].planes, strict=True))
        keep_top, top_first = how & 3 == How.TOP, bool(how & _TOP_FIRST)
        made = []
        for plane, now in enumerate(frames[top].planes):
            before = frames[top - 1].planes[plane] if top - 1 >= first else None
            after = frames[top + 1].planes[plane] if top + 1 < stop else None
            made.append(_interpolated(before, now, after, keep_top, top_first, format))
        return tuple(made)


def _woven(top: npt.NDArray[np.generic], bottom: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    result = top.copy()
    result[1::2] = bottom[1::2]
    return result


def _interpolated(
    before: npt.NDArray[np.generic] | None,
    now: npt.NDArray[np.generic],
    after: npt.NDArray[np.generic] | None,
    keep_top: bool,
    top_first: bool,
    format: VideoFormat,
) -> npt.NDArray[np.generic]:
    def tensor(plane: npt.NDArray[np.generic] | None) -> torch.Tensor | None:
        return None if plane is None else torch.from_numpy(np.asarray(plane, np.float32))

    middle = tensor(now)
    assert middle is not None
    made = interpolated(tensor(before), middle, tensor(after), keep_top, top_first).numpy()
    if not format.pixel.is_float:
        made = np.clip(np.rint(made), 0, 2**format.pixel.depth - 1)
    result = now.copy()
    lines = slice(1, None, 2) if keep_top else slice(0, None, 2)
    result[lines] = made[lines].astype(now.dtype)
    return result
