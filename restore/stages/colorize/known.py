"""Frames whose colours a person made known: from stills, hints and regions to anchors that can be followed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from restore.analysis.flow import Small
from restore.frames import VideoFormat
from restore.stages.colorize import chroma
from restore.stages.colorize.affinity import spread_out
from restore.stages.colorize.follow import Anchor, Paint
from restore.stages.colorize.guidance import Guidance, picture_tensor
from restore.stages.colorize.marks import Hint, Place, drawn, rgb_of
from restore.stages.colorize.match import Lender, small_size
from restore.stages.colorize.stills import FITS, Still, laid_onto

Maker = Callable[[Small], Anchor]
_REACH = 0.15
"""Reach of a hint at which it is half believed."""
_INSIDE = 0.08
"""Reach of a region's points up to which it is the region."""
_SHADE = 0.12
"""Luma that is added where colours are divided by it: in black there is no colour to tell."""


@dataclass
class Person:
    """The frames of one shot that a person's colours are known of."""

    picture: Callable[[int], Small]
    format: VideoFormat
    makers: dict[int, list[Maker]] = field(default_factory=dict)
    """By number from the shot's first."""
    facts: list[dict[str, Any]] = field(default_factory=list)
    """For the plan."""
    proposed: bool = False
    """Whether they are only lent by likeness."""
    fades: bool = True
    """Whether it all comes from hints: what those hardly reach, they do not mean."""

    @property
    def numbers(self) -> list[int]:
        """The frames, in order."""
        return sorted(self.makers)

    def anchor(self, number: int) -> Anchor:
        """One of them; where several things are said of a frame, the surest wins place by place."""
        luma = self.picture(number)
        first, *others = (make(luma) for make in self.makers[number])
        for other in others:
            surer = other.trust >= first.trust
            paint = np.where(surer[..., None], other.paint, first.paint)
            first = Anchor(luma, paint, np.maximum(first.trust, other.trust))
        return first

    def add_still(self, number: int, still: Still) -> bool:
        """Lay a still onto a frame. Returns whether it is that frame at all."""
        laid = laid_onto(still, self.picture(number))
        if laid.fits < FITS:
            return False
        self.fades = False
        weights = chroma.weights_of(self.format)

        def make(luma: Small) -> Anchor:
            paint = chroma.of_lab(picture_tensor(luma), laid.ab, weights)[0].permute(1, 2, 0).contiguous().numpy()
            return Anchor(luma, paint, np.ones(luma.shape, np.float32))

        self.makers.setdefault(number, []).append(make)
        self.facts.append({"frame": number, "reference": still.path.name, "fits": laid.fits})
        return True

    def add_hints(self, number: int, hints: Sequence[Hint]) -> None:
        """Spread hints over a frame by affinity.

        What spreads is chroma per luma: within one paint chroma falls with the light, and so it does here.
        """
        format, weights = self.format, chroma.weights_of(self.format)

        def make(luma: Small) -> Anchor:
            grey = picture_tensor(luma)
            values, given = np.zeros((*luma.shape, 2), np.float32), np.zeros(luma.shape, bool)
            shade = luma.astype(np.float32)[..., None] / 255 + _SHADE
            for hint in hints:
                where = hint.drawn(luma.shape, format)
                paint = chroma.of_paint(grey, rgb_of(hint.color), weights)[0].permute(1, 2, 0).numpy()
                values[where] = (paint / shade)[where]
                given |= where
            spread, reach = spread_out(luma, values, given)
            found = torch.from_numpy(spread * shade).permute(2, 0, 1)[None]
            limited = chroma.within_gamut(grey, found, weights)[0].permute(1, 2, 0).contiguous().numpy()
            return Anchor(luma, limited, np.asarray(reach / (reach + _REACH) * (1 + _REACH), np.float32))

        self.makers.setdefault(number, []).append(make)
        self.facts.append({"frame": number, "hints": len(hints)})

    def lend(self, numbers: Iterable[int], stills: Sequence[Still]) -> None:
        """Colour frames by likeness to stills of other moments; one that is a frame's own is laid onto it."""
        lender = Lender([_compared(still) for still in stills])
        weights = chroma.weights_of(self.format)
        self.proposed, self.fades = True, False

        def make(luma: Small) -> Anchor:
            height, width = small_size(*luma.shape)
            lent, trust = lender.lend(np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)))
            whole = (luma.shape[1], luma.shape[0])
            ab = torch.from_numpy(np.asarray(cv2.resize(lent, whole, interpolation=cv2.INTER_LINEAR)))
            paint = chroma.of_lab(picture_tensor(luma), ab.permute(2, 0, 1)[None], weights)[0].permute(1, 2, 0)
            return Anchor(luma, paint.contiguous().numpy(), cv2.resize(trust, whole, interpolation=cv2.INTER_LINEAR))

        for number in numbers:
            if not any(self.add_still(number, still) for still in stills):
                self.makers[number] = [make]
        names = sorted({still.path.name for still in stills})
        self.facts.append({"frames": len(self.makers), "likeness": names})


def _compared(still: Still) -> tuple[Small, npt.NDArray[np.float32]]:
    """A still as `Lender` takes it."""
    size = small_size(still.rgb.shape[2], still.rgb.shape[3])
    rgb = F.interpolate(still.rgb, size, mode="area")
    luma = (rgb[0] * torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(0)
    ab = chroma.ab_of(rgb)[0].permute(1, 2, 0).contiguous().numpy()
    return (luma * 255 + 0.5).clamp(0, 255).to(torch.uint8).numpy(), ab


def marks_anchor(hints: Sequence[Hint], luma: Small, format: VideoFormat) -> Anchor:
    """Hints as they were drawn, not spread, as paint of three channels: a*, b* and 1 where one lies."""
    grey, weights = picture_tensor(luma), chroma.weights_of(format)
    marks = np.zeros((*luma.shape, 3), np.float32)
    for hint in hints:
        paint = chroma.of_paint(grey, rgb_of(hint.color), weights)
        ab = chroma.ab_of(chroma.to_rgb(grey, paint, weights))[0].permute(1, 2, 0).numpy()
        where = hint.drawn(luma.shape, format)
        marks[where, :2], marks[where, 2] = ab[where], 1
    return Anchor(luma, marks, np.ones(luma.shape, np.float32))


def region_anchor(guidance: Guidance, places: Sequence[Place], luma: Small, format: VideoFormat) -> Anchor:
    """Where a region of the palette is in one frame, as paint of one channel."""
    mask = np.zeros(luma.shape, np.float32)
    inside, outside = np.zeros(luma.shape, bool), np.zeros(luma.shape, bool)
    for place in places:
        if place.mask is not None:
            mask = np.maximum(mask, guidance.mask(place, luma.shape))
        if place.points or place.stroke:
            inside |= place.drawn(luma.shape, format)
        outside |= drawn(place.outside, (), place.width, luma.shape, format)
    if inside.any():
        values: Paint = inside[..., None].astype(np.float32)
        spread, reach = spread_out(luma, values, inside | outside)
        mask = np.maximum(mask, np.clip((spread[..., 0] - 0.4) / 0.3, 0, 1) * np.clip(reach / _INSIDE, 0, 1))
    return Anchor(luma, mask[..., None], np.ones(luma.shape, np.float32))
