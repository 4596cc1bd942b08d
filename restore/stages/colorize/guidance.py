"""What a person says of a film's colours: stills, hints, a palette; made into frames whose colours are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from restore.analysis.flow import Small
from restore.errors import OptionError
from restore.frames import Shot, VideoFormat
from restore.pipeline.contract import Values
from restore.pipeline.index import FrameIndex
from restore.stages.colorize import chroma
from restore.stages.colorize.follow import Anchor
from restore.stages.colorize.options import ColorizeOptions
from restore.stages.colorize.stills import FITS, Still, laid_onto, stills_in
from restore.times import format_time

Picture = Callable[[int], Small]


@dataclass
class Person:
    """The frames of one shot that a person coloured."""

    makers: dict[int, list[Callable[[Small], Anchor]]] = field(default_factory=dict)
    """By number from the shot's first."""
    picture: Picture | None = None
    facts: list[dict[str, Any]] = field(default_factory=list)
    """For the plan."""

    @property
    def known(self) -> bool:
        """Whether there are any."""
        return bool(self.makers)

    @property
    def numbers(self) -> list[int]:
        """The frames, in order."""
        return sorted(self.makers)

    def anchor(self, number: int) -> Anchor:
        """One of them; where several things are said of a frame, the surest wins place by place."""
        assert self.picture is not None
        luma = self.picture(number)
        first, *others = (make(luma) for make in self.makers[number])
        for other in others:
            surer = other.trust > first.trust
            paint = np.where(surer[..., None], other.paint, first.paint)
            first = Anchor(luma, paint, np.maximum(first.trust, other.trust))
        return first


class Guidance:
    """All that the options say, read and checked."""

    def __init__(self, options: ColorizeOptions) -> None:
        """Raises RestoreError."""
        self.stills = [Still.parse(text) for text in options.reference]
        if options.references is not None:
            self.stills += stills_in(Path(options.references))

    def __bool__(self) -> bool:
        return bool(self.stills)

    def check(self, format: VideoFormat) -> None:
        """Raise RestoreError if some of it cannot be used on such a film."""
        for still in self.stills:
            still.check(format)

    def check_film(self, index: FrameIndex) -> None:
        """Raise OptionError if a time lies outside the film."""
        for still in self.stills:
            if still.time is not None:
                frame_at(still.time, index, f"reference {still.path.name}")

    def digests(self) -> dict[str, str]:
        """Of every file's content."""
        return {str(still.path): still.digest for still in self.stills}

    def anchors(
        self, shot: Shot, index: FrameIndex | None, format: VideoFormat, picture: Picture, edits: Values
    ) -> Person:
        """The frames of a shot that are known."""
        person = Person(picture=picture)
        for still in self.stills:
            if still.time is None or index is None:
                continue
            number = frame_at(still.time, index, still.path.name) - shot.start
            if 0 <= number < len(shot):
                self._lay(person, still, number, format)
        return person

    @staticmethod
    def _lay(person: Person, still: Still, number: int, format: VideoFormat) -> None:
        assert person.picture is not None
        laid = laid_onto(still, person.picture(number))
        person.facts.append({"frame": number, "reference": still.path.name, "fits": laid.fits})
        if laid.fits < FITS:
            raise OptionError(f"{still.path}: does not look like the frame at {still.time} ({laid.fits})")
        weights = chroma.weights_of(format)

        def make(luma: Small) -> Anchor:
            values = torch.from_numpy(luma[None].astype(np.float32) / 255)
            paint = chroma.of_lab(values, laid.ab, weights)[0].permute(1, 2, 0).contiguous().numpy()
            return Anchor(luma, paint, np.ones(luma.shape, np.float32))

        person.makers.setdefault(number, []).append(make)


def frame_at(time: str | float, index: FrameIndex, whose: str) -> int:
    """The frame of the film at a time. Raises OptionError where there is none."""
    frame = index.find(time)
    if frame >= len(index):
        length = format_time((index.end_pts - int(index.pts[0])) * index.time_base)
        raise OptionError(f"{whose}: {time} lies behind the end of the film ({length})")
    return frame
