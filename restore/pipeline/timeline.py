"""Stages that change which frames exist: deinterlacing, inverse telecine.

Their analysis writes down, for every frame of the new film, its pts and what of the source makes it; rendering does
just that. They come first in a recipe. To everything behind them, the new film is simply the source: `TimelineSource`.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

from restore.errors import PlanError
from restore.frames import Frame, FrameBatch, Planes, Shot, VideoFormat
from restore.media.source import Source
from restore.pipeline.contract import Device, Options, Stage, Values
from restore.pipeline.index import FrameIndex
from restore.pipeline.reader import FrameReader


@dataclass(frozen=True)
class Timeline:
    """The frames of the new film."""

    pts: npt.NDArray[np.int64]
    """In the stage's output time base, strictly rising."""
    rows: npt.NDArray[np.int32]
    """(frames, columns): how each frame is made; only the stage knows what the columns mean, but the first is always
    the source frame it begins with."""
    last_duration: int
    note: str = ""
    """What was found, in words."""

    def index(self, source: FrameIndex, format: VideoFormat) -> FrameIndex:
        """The new film's list of frames. A frame is corrupt if the source frame it begins with is."""
        count = len(self.pts)
        return FrameIndex(
            self.pts, source.corrupt[self.rows[:, 0]], np.ones(count, bool), format.time_base, format.frame_rate,
            self.last_duration, source.decode_errors, seekable=True,
        )  # fmt: skip

    def cuts(self, source_cuts: Iterable[int]) -> list[int]:
        """First frames of shots in the new film, from those in the source."""
        found = np.searchsorted(self.rows[:, 0], sorted(source_cuts), side="left")
        return sorted({int(cut) for cut in found if 0 < cut < len(self.pts)})

    def save(self, path: Path, signature: str) -> None:
        """Write atomically; `signature` says what it was found from."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(
                file, pts=self.pts, rows=self.rows, last_duration=np.int64(self.last_duration),
                note=np.array(self.note), signature=np.array(signature),
            )  # fmt: skip
        os.replace(part, path)

    @classmethod
    def load(cls, path: Path, signature: str) -> Timeline | None:
        """What `save` wrote; None if there is nothing, or it was found from something else. Raises PlanError."""
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                if str(stored["signature"]) != signature:
                    return None
                return cls(stored["pts"], stored["rows"], int(stored["last_duration"]), str(stored["note"]))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise PlanError(f"{path}: not a timeline ({error}); delete it and run again") from None


class TimelineStage(Stage[Options]):
    """A stage that works on whole native frames, before any conversion, and decides which frames there are."""

    @abstractmethod
    def find(self, frames: Iterable[Frame], index: FrameIndex, shots: Sequence[Shot], format: VideoFormat) -> Timeline:
        """Watch the whole film once, in bounded memory, and decide. `format` is the source's."""

    @abstractmethod
    def needs(self, row: npt.NDArray[np.int32]) -> range:
        """Which source frames `compose` wants for a row."""

    @abstractmethod
    def compose(self, frames: Mapping[int, Frame], row: npt.NDArray[np.int32], format: VideoFormat) -> Planes:
        """Make one frame. A pure function of what `needs` asked for."""

    def open(self, device: Device, format: VideoFormat) -> None:
        """Timeline stages work before the device comes in."""

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        """Never called: see `compose`."""
        raise NotImplementedError


class TimelineSource:
    """A source whose frames are those of a timeline over another source; takes that over, and closes it."""

    def __init__(self, source: Source, stage: TimelineStage[Any], timeline: Timeline, index: FrameIndex) -> None:
        self._source, self._stage, self._timeline = source, stage, timeline
        self._source_format = source.format
        self._reader = FrameReader(source, index, remember=8)
        self.format = stage.output_format(source.format)
        self.decode_errors = 0
        self.mended = False
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


def finer(format: VideoFormat, parts: int, rate: Fraction) -> VideoFormat:
    """The same format in a time base `parts` times finer, at another nominal rate."""
    return VideoFormat(
        format.width, format.height, format.pixel, format.color, format.time_base / parts, rate, format.sample_aspect
    )
