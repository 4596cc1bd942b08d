"""Tinted and toned black-and-white: chroma that follows from luma alone, measured and taken away.

A sepia print, a film tinted blue for night, a transfer with a cast: in all of them colour is a function of grey.
Tinting (a dyed base) colours the lights, toning (dyed or replaced silver) the shadows, so it is measured as a curve
over luma (Read and Meyer, "Restoration of Motion Picture Film", 2000, chapter 9). What no such curve explains is
colour of the scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F

_LEVELS = 9  # of luma, evenly from black to white
_SIDE = 96  # pixels a frame is measured at: grain and compression average out
_FEWEST = 0.002  # of all pixels: levels with fewer of them follow their neighbours
_VISIBLE = 0.008  # chroma (of a range of 1) below which a curve is no tint
_COLOUR = 0.024  # unexplained chroma, at the 90th percentile, of pictures that were taken in colour
_LOUD = 0.90


@dataclass(frozen=True, slots=True)
class Tint:
    """The chroma a shot's greys have, and how much chroma they do not explain. Chroma is centred on 0, within 0.5."""

    curve: tuple[tuple[float, float], ...]
    """Cb and Cr at luma 0, 1/8, ..., 1."""
    strength: float
    """Mean length of the tint's chroma over the picture."""
    unexplained: float
    """Length of the chroma that is left, at its 90th percentile."""

    @property
    def kind(self) -> Literal["neutral", "tinted", "colour"]:
        """``neutral``: grey as it is. ``tinted``: grey once the curve is taken away. ``colour``: neither."""
        if self.unexplained > _COLOUR:
            return "colour"
        return "tinted" if self.strength > _VISIBLE else "neutral"

    def chroma(self, luma: torch.Tensor) -> torch.Tensor:
        """The tint of greys: (N, 1, H, W), nominally [0, 1], to Cb and Cr (N, 2, H, W)."""
        place = luma[:, 0].clamp(0, 1) * (_LEVELS - 1)
        low = place.floor().clamp(max=_LEVELS - 2)
        curve = torch.tensor(self.curve, dtype=luma.dtype, device=luma.device)
        below, above = curve[low.long()], curve[low.long() + 1]
        return torch.lerp(below, above, (place - low)[..., None]).movedim(-1, 1)


NEUTRAL = Tint(((0.0, 0.0),) * _LEVELS, 0.0, 0.0)


def measure_tint(luma: torch.Tensor, chroma: torch.Tensor) -> Tint:
    """The tint of some frames of one shot.

    Args:
        luma: (N, 1, H, W), nominally [0, 1].
        chroma: (N, 2, h, w), Cb and Cr centred on 0, of the same frames at whatever size their format gives it.
    """
    grey = _reduced(luma).flatten()
    colour = _reduced(chroma).movedim(1, -1).reshape(-1, 2)
    curve = _curve(grey, colour)
    tint = Tint(curve, 0.0, 0.0)
    expected = tint.chroma(grey[None, None, None])[0, :, 0].T
    left = (colour - expected).norm(dim=1)
    return Tint(curve, round(float(expected.norm(dim=1).mean()), 5), round(float(left.quantile(_LOUD)), 5))


def neutralised(chroma: torch.Tensor, luma: torch.Tensor, tint: Tint) -> torch.Tensor:
    """Chroma (N, 2, h, w) without the tint; luma (N, 1, H, W) is reduced to its size."""
    return chroma - tint.chroma(F.interpolate(luma, chroma.shape[-2:], mode="area"))


def _reduced(planes: torch.Tensor) -> torch.Tensor:
    return F.interpolate(planes.float().cpu(), (_SIDE, _SIDE), mode="area")


def _curve(grey: torch.Tensor, colour: torch.Tensor) -> tuple[tuple[float, float], ...]:
    """The median chroma round each level of luma; levels that hardly occur follow the nearest ones that do."""
    nearest = (grey.clamp(0, 1) * (_LEVELS - 1)).round().long()
    enough = max(8, int(_FEWEST * len(grey)))
    known = {
        level: colour[nearest == level].median(0).values
        for level in range(_LEVELS)
        if int((nearest == level).sum()) >= enough
    }
    if not known:
        return NEUTRAL.curve
    rows = []
    for level in range(_LEVELS):
        below = max((k for k in known if k <= level), default=min(known))
        above = min((k for k in known if k >= level), default=max(known))
        share = (level - below) / (above - below) if above > below else 0.0
        rows.append(torch.lerp(known[below], known[above], share))
    return tuple((round(float(cb), 5), round(float(cr), 5)) for cb, cr in rows)
