"""What a person says of a film's colours: stills, hints, a palette; what of it concerns a shot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch

from restore.errors import OptionError, SourceError
from restore.frames import Shot, VideoFormat
from restore.media.pictures import read_picture
from restore.pipeline.contract import Values
from restore.pipeline.index import FrameIndex
from restore.stages.colorize.marks import Hint, Hints, Marks, Palette, Place, read_marks
from restore.stages.colorize.options import ColorizeOptions
from restore.stages.colorize.stills import Still, stills_in
from restore.times import format_time

_Marked = TypeVar("_Marked", bound=Marks)


class Guidance:
    """All that the options say, read and checked."""

    def __init__(self, options: ColorizeOptions) -> None:
        """Raises RestoreError."""
        stills = [Still.parse(text) for text in options.reference]
        if options.references is not None:
            stills += stills_in(Path(options.references))
        self.timed = [still for still in stills if still.time is not None]
        self.untimed = [still for still in stills if still.time is None]
        self.hints: Sequence[Hint] = ()
        if options.hints is not None:
            self.hints = read_marks(Path(options.hints), Hints).hints
        self.palette: Palette | None = None
        self._folder = Path()
        if options.palette is not None:
            self.palette = read_marks(Path(options.palette), Palette)
            self._folder = Path(options.palette).parent
        self._names = (options.hints, options.palette)

    def __bool__(self) -> bool:
        return bool(self.timed or self.untimed or self.hints or self.palette)

    @property
    def places(self) -> Sequence[Place]:
        """Where the palette's regions are seen."""
        return self.palette.places if self.palette is not None else ()

    def check(self, format: VideoFormat) -> None:
        """Raise RestoreError if some of it cannot be used on such a film."""
        for still in (*self.timed, *self.untimed):
            still.check(format)
        for hint in self.hints:
            hint.check(format, str(self._names[0]))
        for place in self.places:
            place.check(format, str(self._names[1]))
            if place.mask is not None:
                self.mask(place, (8, 8))

    def check_film(self, index: FrameIndex) -> None:
        """Raise OptionError if a time lies outside the film."""
        for still in self.timed:
            frame_at(still.time or 0, index, f"reference {still.path}")
        for marks, name in ((self.hints, self._names[0]), (self.places, self._names[1])):
            for mark in marks:
                frame_at(mark.at, index, str(name))

    def mask(self, place: Place, size: tuple[int, int]) -> npt.NDArray[np.float32]:
        """(h, w) 0 to 1: a place's mask at the plan's size. Raises SourceError, SourceNotFoundError."""
        path = self._folder / str(place.mask)
        picture = read_picture(path)
        plane = np.asarray(picture.planes[0], np.float32)
        peak = 1.0 if picture.pixel.is_float else 2.0**picture.pixel.depth - 1
        if float(plane.max()) <= 0:
            raise SourceError(f"{path}: a mask that is black all over; paint the region white")
        return np.asarray(cv2.resize(plane / peak, size[::-1], interpolation=cv2.INTER_AREA), np.float32)

    def concerns(self, shot: Shot, index: FrameIndex) -> dict[str, Any]:
        """What of it the colours of a shot depend on, as JSON values; files by what is in them."""
        found: dict[str, Any] = {}
        if timed := [[number, still.digest] for number, still in self.stills_of(shot, index, {})]:
            found["references"] = timed
        if self.untimed and not timed:
            found["likeness"] = [still.digest for still in self.untimed]
        if hints := [[number, hint.model_dump(mode="json")] for number, hint in _within(self.hints, shot, index)]:
            found["hints"] = hints
        if places := list(_within(self.places, shot, index)):
            assert self.palette is not None
            found["palette"] = [
                [number, place.model_dump(mode="json"), self.palette.colors[place.region], self._mask_digest(place)]
                for number, place in places
            ]
        return found

    def _mask_digest(self, place: Place) -> str | None:
        if place.mask is None:
            return None
        return hashlib.sha256((self._folder / place.mask).read_bytes()).hexdigest()

    def stills_of(self, shot: Shot, index: FrameIndex | None, edits: Values) -> Iterator[tuple[int, Still]]:
        """The stills of a shot's own frames, by number from its first; those of edits.json last."""
        if index is None:
            return
        for still in self.timed:
            number = frame_at(still.time or 0, index, str(still.path)) - shot.start
            if 0 <= number < len(shot):
                yield number, still
        for edit in edits.get("reference", ()):
            number = int(np.searchsorted(index.pts, edit["from"])) - shot.start
            yield min(max(0, number), len(shot) - 1), Still(Path(edit["value"]["path"]), "0")

    def hints_of(self, shot: Shot, index: FrameIndex | None) -> dict[int, list[Hint]]:
        """The hints of a shot by the number of their frame."""
        found: dict[int, list[Hint]] = {}
        for number, hint in _within(self.hints, shot, index) if index is not None else ():
            found.setdefault(number, []).append(hint)
        return found

    def places_of(self, shot: Shot, index: FrameIndex | None) -> dict[str, dict[int, list[Place]]]:
        """The palette's places in a shot, by region and by the number of their frame."""
        found: dict[str, dict[int, list[Place]]] = {}
        for number, place in _within(self.places, shot, index) if index is not None else ():
            found.setdefault(place.region, {}).setdefault(number, []).append(place)
        return found


def _within(marks: Sequence[_Marked], shot: Shot, index: FrameIndex) -> Iterator[tuple[int, _Marked]]:
    for mark in marks:
        number = frame_at(mark.at, index, "marks") - shot.start
        if 0 <= number < len(shot):
            yield number, mark


def frame_at(time: str | float, index: FrameIndex, whose: str) -> int:
    """The frame of the film at a time. Raises OptionError where there is none."""
    frame = index.find(time)
    if frame >= len(index):
        length = format_time((index.end_pts - int(index.pts[0])) * index.time_base)
        raise OptionError(f"{whose}: {time} lies behind the end of the film ({length})")
    return frame


def picture_tensor(luma: npt.NDArray[np.uint8]) -> torch.Tensor:
    """(1, h, w) in [0, 1] of a plan's picture."""
    return torch.from_numpy(luma[None].astype(np.float32) / 255)
