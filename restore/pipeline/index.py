"""The list of every frame of a film: what the first round of the analysis writes down."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from restore.errors import PlanError
from restore.files import whole
from restore.times import frame_number, parse_time


class DamagedRange(NamedTuple):
    """A stretch of the source that did not come through whole; times in seconds from the zero of its clock."""

    start: Fraction
    end: Fraction
    frames: int
    """Damaged frames in it; 0 where frames are missing altogether."""
    kind: str
    """``corrupt`` or ``missing`` pictures, or ``silent``: missing sound."""

    def as_json(self) -> dict[str, float | int | str]:
        """For the job and for ``--json``."""
        return {"start": float(self.start), "end": float(self.end), "frames": self.frames, "kind": self.kind}


@dataclass(frozen=True)
class FrameIndex:
    """Every frame that decodes, in order: pts (strictly rising), whether corrupt, whether a key frame."""

    pts: npt.NDArray[np.int64]
    corrupt: npt.NDArray[np.bool_]
    key: npt.NDArray[np.bool_]
    time_base: Fraction
    frame_rate: Fraction
    """The source's nominal rate: what timecodes count in."""
    last_duration: int
    decode_errors: int = 0
    seekable: bool = True
    """False where pts had to be mended: such a source is read from its beginning only."""
    lost: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """pts of pictures that are in the file but did not decode."""

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def step(self) -> int:
        """The usual distance of two frames, in ticks (the median)."""
        if len(self.pts) < 2:
            return max(1, self.last_duration)
        return max(1, int(np.median(np.diff(self.pts))))

    @property
    def end_pts(self) -> int:
        """Where the last frame stops being shown."""
        return int(self.pts[-1]) + (self.last_duration or self.step)

    def span(self, start: int, end: int) -> tuple[Fraction, Fraction]:
        """When frames [start, end) begin and end, in seconds from the first frame."""
        origin = int(self.pts[0])
        stop = int(self.pts[end]) if end < len(self.pts) else self.end_pts
        return (int(self.pts[start]) - origin) * self.time_base, (stop - origin) * self.time_base

    def duration_of(self, frame: int) -> int:
        """Ticks for which a frame is shown."""
        if frame + 1 < len(self.pts):
            return int(self.pts[frame + 1] - self.pts[frame])
        return self.end_pts - int(self.pts[-1])

    def at(self, time: Fraction) -> int:
        """Index of the first frame at or after a time in seconds from the zero of the source's clock."""
        return int(np.searchsorted(self.pts, -(-time // self.time_base), side="left"))

    def find(self, time: str | float) -> int:
        """Index of the frame that a person means by a time from the first frame (see `parse_time`).

        Half a frame of leeway, since times are copied from rounded displays; `len` where it lies behind the end.
        """
        number = frame_number(time)
        if number is not None:
            return min(number, len(self))
        leeway = 1 / self.frame_rate / 2
        return self.at(int(self.pts[0]) * self.time_base + parse_time(time, self.frame_rate) - leeway)

    def key_pts(self) -> list[int]:
        """pts of the key frames."""
        return [int(pts) for pts in self.pts[self.key]]

    def damaged(self) -> list[DamagedRange]:
        """Runs of corrupt frames, and holes left by pictures that did not decode.

        A hole in the pts is damage where a picture is known to be lost, or where it stands out from an otherwise
        constant rate (a demuxer skips what it cannot read without a word); at variable rate it is none.
        """
        ranges: list[DamagedRange] = []
        edges = np.flatnonzero(np.diff(np.concatenate(([0], self.corrupt.astype(np.int8), [0]))))
        for first, stop in zip(edges[::2], edges[1::2], strict=True):
            stopped = int(self.pts[stop]) if stop < len(self.pts) else self.end_pts
            ranges.append(
                DamagedRange(
                    int(self.pts[first]) * self.time_base, stopped * self.time_base, int(stop - first), "corrupt"
                )
            )
        for start, end in self._holes():
            ranges.append(DamagedRange(start * self.time_base, end * self.time_base, 0, "missing"))
        if self.decode_errors and not ranges:
            last = self.end_pts * self.time_base
            ranges.append(DamagedRange(last, last, 0, "missing"))
        return sorted(ranges)

    def _holes(self) -> list[tuple[int, int]]:
        holes: set[tuple[int, int]] = set()
        for place, pts in zip(np.searchsorted(self.pts, self.lost), self.lost, strict=True):
            if place == 0:
                holes.add((int(self.lost.min()), int(self.pts[0])))
            elif place == len(self.pts):
                holes.add((self.end_pts, max(int(self.lost.max()) + self.step, self.end_pts)))
            elif self.pts[place] - self.pts[place - 1] > 1.5 * self.step and self.pts[place] != pts:
                holes.add((int(self.pts[place - 1]) + self.step, int(self.pts[place])))
        holes.update((int(self.pts[place]) + self.step, int(self.pts[place + 1])) for place in self._breaks())
        return sorted(holes)

    def _breaks(self) -> list[int]:
        """Frames after which an otherwise constant rate pauses."""
        steps = np.diff(self.pts)
        uneven = int((np.abs(steps - self.step) > 1).sum())
        constant = len(steps) >= 25 and uneven <= max(1, len(steps) // 50)
        return [int(place) for place in np.flatnonzero(steps > 2.5 * self.step)] if constant else []

    def save(self, path: Path) -> None:
        """Write atomically."""
        with whole(path) as file:
            np.savez_compressed(
                file, pts=self.pts, corrupt=self.corrupt, key=self.key, lost=self.lost,
                facts=np.array(
                    [self.time_base.numerator, self.time_base.denominator, self.frame_rate.numerator,
                     self.frame_rate.denominator, self.last_duration, self.decode_errors, self.seekable],
                    dtype=np.int64,
                ),
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> FrameIndex:
        """Read what `save` wrote; raises PlanError for anything else."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                facts = [int(number) for number in stored["facts"]]
                base, rate = Fraction(facts[0], facts[1]), Fraction(facts[2], facts[3])
                return cls(
                    stored["pts"],
                    stored["corrupt"],
                    stored["key"],
                    base,
                    rate,
                    facts[4],
                    facts[5],
                    bool(facts[6]),
                    stored["lost"],
                )
        except (
            OSError,
            ValueError,
            KeyError,
            IndexError,
            EOFError,
            ZeroDivisionError,
            BadZipFile,
            zlib.error,
        ) as error:
            raise PlanError(f"{path}: not a frame list ({error}); delete it and run again") from None
