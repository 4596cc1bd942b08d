"""What of a face is skin, by its colour, and where its wrinkles run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from restore.stages.reage.bands import blurred, luma_of, reduced, restored
from restore.stages.reage.prototypes import TONE
from restore.stages.reage.zones import Oval, oval

_SAMPLE = (Oval(0.62, 0.55, 0.22, 0.22), Oval(0, -0.45, 0.45, 0.2), Oval(0, 0.35, 0.12, 0.2))
"""Cheeks, forehead, ridge of the nose: where skin shows on nearly all faces."""


@dataclass(frozen=True)
class Colours:
    """Crops in logarithms, where shading is a sum and skin of any darkness alike."""

    tone: Tensor
    """(N, S, S) logarithm of luma."""
    red: Tensor
    """(N, S, S) logarithm of red over luma."""
    blue: Tensor
    """(N, S, S) logarithm of blue over luma."""

    @classmethod
    def of(cls, crops: Tensor) -> Colours:
        """Of (N, 3, S, S) display values; what is below black counts as black."""
        tone = (luma_of(crops).clamp(min=0) + TONE).log()
        red, blue = ((crops[:, c].clamp(min=0) + TONE).log() - tone for c in (0, 2))
        return cls(tone, red, blue)

    def blurred(self, sigma: float) -> Colours:
        """Through a Gaussian."""
        return Colours(*(blurred(plane, sigma) for plane in (self.tone, self.red, self.blue)))


@dataclass(frozen=True)
class Skin:
    """What a face's skin looks like, and how much each place looks so."""

    tone: Tensor
    """(N, 1, 1) its usual tone; likewise red and blue."""
    red: Tensor
    blue: Tensor
    likeness: Tensor
    """(N, S, S) 0 to 1."""
    colourful: Tensor
    """(N, 1, 1) 0, black and white, to 1."""


def find_skin(colours: Colours, place: Tensor, x: Tensor, y: Tensor, unit: float) -> Skin:
    """The skin of (N, S, S) faces; `place`: where it usually is. Judged on blurred colours: wrinkles do not count."""
    soft = colours.blurred(0.035 * unit)
    sample = torch.stack([oval(shape, x, y, 0.4).expand_as(place) for shape in _SAMPLE]).amax(0) * place
    weights = sample
    for _ in range(3):  # the middle of what is there, without hair, beard and glasses
        tone, red, blue = (_mean(plane, weights) for plane in (soft.tone, soft.red, soft.blue))
        away = ((soft.tone - tone) / 0.35) ** 2 + ((soft.red - red) / 0.10) ** 2 + ((soft.blue - blue) / 0.16) ** 2
        weights = sample * torch.exp(-away)
    tolerance = torch.where(soft.tone > tone, 0.55, 0.62)
    away = ((soft.tone - tone) / tolerance) ** 2 + ((soft.red - red) / 0.17) ** 2 + ((soft.blue - blue) / 0.26) ** 2
    likeness = torch.exp(-((away - 1).clamp(min=0)))
    colourful = ((red.abs() + blue.abs() - 0.04) / 0.12).clamp(0, 1)
    return Skin(tone, red, blue, blurred(likeness, 0.02 * unit), colourful)


def total(planes: Tensor) -> Tensor:
    """(N, 1, 1) sums of (N, S, S) planes: row by row, because a sum of all at once depends on the number of threads."""
    return planes.sum(2, keepdim=True).sum(1, keepdim=True)


def _mean(plane: Tensor, weights: Tensor) -> Tensor:
    return total(plane * weights) / total(weights).clamp(min=1e-3)


def valleys(tone: Tensor, sigma: float) -> Tensor:
    """(N, S, S) 0 to 1: how much a place lies in a thin dark line about `sigma` pixels wide.

    The larger principal curvature of the blurred tone, where the other is small: A. F. Frangi and others, "Multiscale
    Vessel Enhancement Filtering", MICCAI 1998.
    """
    times = 1
    while sigma / times > 2:
        times *= 2
    sigma /= times
    soft = F.pad(blurred(reduced(tone, times), sigma)[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    middle = soft[:, 1:-1, 1:-1]
    xx = soft[:, 1:-1, 2:] + soft[:, 1:-1, :-2] - 2 * middle
    yy = soft[:, 2:, 1:-1] + soft[:, :-2, 1:-1] - 2 * middle
    xy = 0.25 * (soft[:, 2:, 2:] + soft[:, :-2, :-2] - soft[:, 2:, :-2] - soft[:, :-2, 2:])
    spread = torch.sqrt((0.5 * (xx - yy)) ** 2 + xy**2)
    along, across = 0.5 * (xx + yy) - spread, 0.5 * (xx + yy) + spread
    depth = (across - 0.6 * along.abs()).clamp(min=0) * sigma**2
    share = ((depth - 0.004) / 0.022).clamp(0, 1)
    return restored(blurred(share * share * (3 - 2 * share), 0.5 * sigma), times, tone.shape[1:])
