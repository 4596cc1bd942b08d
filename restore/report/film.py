"""A film, sequence or picture that is looked into here and there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np
import torch

from restore.errors import SourceError
from restore.frames import Frame
from restore.media.contents import listed_pts
from restore.media.open import open_source
from restore.media.options import InputOptions
from restore.media.pictures import PictureSource
from restore.media.sequence import SequenceSource
from restore.pipeline.picture import Converter
from restore.pipeline.stills import Rgb, rgb_of

_NEAR = 48
"""Frames that are decoded and dropped rather than sought over."""


class Film:
    """Stills of a film by frame number. A context manager.

    Args:
        name: a path or pattern.
        options: how it is read.

    Raises SourceNotFoundError, SourceError, OptionError.
    """

    def __init__(self, name: str, options: InputOptions = InputOptions()) -> None:
        self.name = name
        self._source = open_source(name, options)
        self.format = self._source.format
        self._converter = Converter(torch.device("cpu"))
        if isinstance(self._source, SequenceSource | PictureSource):
            step = round(1 / (self.format.frame_rate * self.format.time_base))
            self.pts = [number * step for number in range(len(self._source))]
        else:
            self.pts, keys = listed_pts(Path(name))
            self._source.use_index(keys, True)
        if not self.pts:
            raise SourceError(f"{name}: holds no frame with a time; there is nothing to show")
        self._stream: Iterator[Frame] | None = None
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream = None
        self._source.close()

    def __len__(self) -> int:
        return len(self.pts)

    def time(self, number: int) -> Fraction:
        """Seconds from the first frame."""
        return (self.pts[number] - self.pts[0]) * self.format.time_base

    def at(self, time: Fraction) -> int:
        """The frame shown at a time in seconds from the first frame; the last one for any later time."""
        ticks = self.pts[0] + time / self.format.time_base
        # Containers round times to their own ticks: half a frame of leeway.
        step = (self.pts[-1] - self.pts[0]) / max(1, len(self.pts) - 1)
        return max(0, int(np.searchsorted(self.pts, float(ticks) + step / 2)) - 1)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as it is to be looked at, in square pixels."""
        return round(self.format.width * float(self.format.sample_aspect)), self.format.height

    def stills(self, numbers: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Rgb]]:
        """Frames in rising order, as 8-bit RGB of `size` (width, height); one that does not decode is left out."""
        for number in sorted(set(numbers)):
            frame = self._frame(number)
            if frame is not None:
                yield number, rgb_of(self._converter, frame, self.format, size)

    def _frame(self, number: int) -> Frame | None:
        wanted = self.pts[number]
        if self._stream is None or not self._at <= number <= self._at + _NEAR:
            self._stream = self._source.frames(wanted if number else None)
        for frame in self._stream:
            if frame.pts >= wanted:
                self._at = number + 1
                return frame
        self._stream = None
        return None
