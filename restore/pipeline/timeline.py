"""Stages that change which frames exist: deinterlacing, inverse telecine.

Their analysis writes down, for every frame of the new film, its pts and what of the source makes it; rendering does
just that. They come first in a recipe. To everything behind them, the new film is simply the source: `TimelineSource`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np

from restore.errors import PlanError
from restore.files import whole
from restore.frames import Frame, VideoFormat
from restore.media.source import Source
from restore.pipeline.contract import Stage, Timeline, TimelineStage, Watcher
from restore.pipeline.index import FrameIndex
from restore.pipeline.reader import FrameReader


def index_of(timeline: Timeline, source: FrameIndex, format: VideoFormat) -> FrameIndex:
    """The new film's list of frames. A frame is corrupt if the source frame it begins with is."""
    count = len(timeline.pts)
    return FrameIndex(
        timeline.pts, source.corrupt[timeline.rows[:, 0]], np.ones(count, bool), format.time_base, format.frame_rate,
        timeline.last_duration,
    )  # fmt: skip


def cuts_of(timeline: Timeline, source_cuts: Iterable[int]) -> list[int]:
    """First frames of shots in the new film, from those in the source."""
    found = np.searchsorted(timeline.rows[:, 0], sorted(source_cuts), side="left")
    return sorted({int(cut) for cut in found if 0 < cut < len(timeline.pts)})


def save_timeline(timeline: Timeline, path: Path, signature: str) -> None:
    """Write atomically; `signature` says what it was found from."""
    with whole(path) as file:
        np.savez_compressed(
            file, pts=timeline.pts, rows=timeline.rows, last_duration=np.int64(timeline.last_duration),
            note=np.array(timeline.note), signature=np.array(signature),
        )  # fmt: skip


def load_timeline(path: Path, signature: str) -> Timeline | None:
    """What `save_timeline` wrote; None if there is nothing, or it was found from something else. Raises PlanError."""
    found = _stored(path)
    return found[0] if found is not None and found[1] == signature else None


def read_timeline(path: Path) -> Timeline | None:
    """What `save_timeline` wrote last, whatever from; None if there is nothing. Raises PlanError."""
    found = _stored(path)
    return found[0] if found is not None else None


def _stored(path: Path) -> tuple[Timeline, str] | None:
    """A timeline and its signature."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            timeline = Timeline(stored["pts"], stored["rows"], int(stored["last_duration"]), str(stored["note"]))
            return timeline, str(stored["signature"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise PlanError(f"{path}: not a timeline ({error}); delete it and run again") from None


class FirstLook:
    """Lets a timeline stage see a film while it is listed, so that it need not be read once more."""

    def __init__(self, stage: TimelineStage[Any], format: VideoFormat) -> None:
        self._stage, self._format = stage, format
        self._watcher: Watcher | None = None
        self._next = 0

    def __call__(self, number: int, frame: Frame) -> None:
        """See a frame; number 0 begins anew."""
        if number == 0:
            self._watcher, self._next = self._stage.watcher(self._format), 0
        if number == self._next and self._watcher is not None:
            self._watcher.add(frame)
            self._next += 1

    def whole(self, frames: int) -> Watcher | None:
        """What saw all frames of the film; None if some were not shown, as after an interruption."""
        return self._watcher if self._next == frames else None


class TimelineSource:
    """A source whose frames are those of a timeline over another source; takes that over, and closes it."""

    def __init__(self, source: Source, stage: TimelineStage[Any], timeline: Timeline, index: FrameIndex) -> None:
        self._source, self._stage, self._timeline = source, stage, timeline
        self._source_format = source.format
        self._reader = FrameReader(source, index, remember=8)
        self.format = stage.output_format(source.format)
        self.decode_errors = 0
        self.mended = False
        self.watched = False
        self.lost: Sequence[int] = ()  # the listing, which watches, reads the source itself
        self.threads = source.threads

    def frames(self, start_pts: int | None = None) -> Iterator[Frame]:
        """See `Source.frames`."""
        timeline = self._timeline
        first = 0 if start_pts is None else int(np.searchsorted(timeline.pts, start_pts))
        held: dict[int, Frame] = {}
        for number in range(first, len(timeline.pts)):
            row = timeline.rows[number]
            needed = self._stage.needs(row)
            missing = [place for place in needed if place not in held]
            if missing:
                wanted = range(missing[0], missing[-1] + 1)
                held.update(zip(wanted, self._reader.read(wanted), strict=True))
            for place in [place for place in held if place < needed.start]:
                del held[place]
            planes = self._stage.compose(held, row, self._source_format)
            yield Frame(int(timeline.pts[number]), planes, held[int(row[0])].corrupt, key=True)

    def use_index(self, key_pts: Sequence[int], seekable: bool) -> None:
        """See `Source.use_index`: the source's own list of frames is already known."""

    def close(self) -> None:
        """Close the source."""
        self._reader.close()
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def split_stages(stages: Sequence[Stage[Any]]) -> tuple[TimelineStage[Any] | None, tuple[Stage[Any], ...]]:
    """The timeline stage a recipe begins with, if it does, and all others."""
    if stages and isinstance(stages[0], TimelineStage):
        return stages[0], tuple(stages[1:])
    return None, tuple(stages)
