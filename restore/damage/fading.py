"""Fading of dyes and of silver, with the truth known: a film or a photograph as it looks decades later.

Dyes that fade in the dark lose a share of their density, much the same at every density, while the base stains yellow:
D' = r D + stain, one r a dye (H. Wilhelm, The Permanence and Care of Color Photographs, 1993; J. Reilly, Storage Guide
for Color Photographic Materials, IPI 1998). Each dye also absorbs a little where the other two should (R. Hunt, The
Reproduction of Colour), so channels mix. Which dye goes first depends on the stock: cyan in most prints of the 1950s to
1970s, which turn red; magenta in colour paper that hung in the light. Silver prints lose contrast, brown and yellow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Kind = Literal["cyan", "light", "even", "silver"]
KINDS: tuple[Kind, ...] = ("cyan", "light", "even", "silver")

GAMMA = 2.2
FLOOR = 1e-3
"""What the deepest black lets through: a density of 3."""

_ABSORBS = ((1.00, 0.06, 0.01), (0.20, 1.00, 0.05), (0.08, 0.22, 1.00))
"""Red, green and blue density (rows) of one unit of cyan, magenta and yellow dye."""
_KEPT: dict[Kind, tuple[tuple[float, float], ...]] = {
    "cyan": ((0.35, 0.70), (0.80, 0.97), (0.50, 0.85)),
    "light": ((0.85, 0.97), (0.50, 0.80), (0.70, 0.90)),
    "even": ((0.50, 0.85), (0.50, 0.85), (0.50, 0.85)),
    "silver": ((0.50, 0.80), (0.55, 0.85), (0.60, 0.95)),
}
"""From which share to which of cyan, magenta and yellow is left; of silver: of red, green and blue density."""


def density(values: Tensor) -> Tensor:
    """Display values in [0, 1] to density, 3 to 0."""
    return -torch.log10((1 - FLOOR) * values.clamp(0, 1) ** GAMMA + FLOOR)


def display(dense: Tensor) -> Tensor:
    """Density to display values; the inverse of `density`."""
    return ((10 ** -dense.clamp(-1, 3) - FLOOR) / (1 - FLOOR)).clamp(0, 1) ** (1 / GAMMA)


@dataclass(frozen=True, slots=True)
class Fading:
    """How a film has faded; the same for all its frames."""

    kept: tuple[float, float, float]
    """The share of each dye (of silver: of each channel's density) that is left."""
    stain: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Density added to red, green and blue."""
    silver: bool = False
    """A black-and-white print: its colours are dropped first."""

    def apply(self, pixels: Tensor) -> Tensor:
        """Fade (N, 3, H, W), display values in [0, 1]."""
        if self.silver:
            grey = (pixels * torch.tensor((0.2126, 0.7152, 0.0722)).to(pixels)[:, None, None]).sum(1, keepdim=True)
            pixels = grey.expand_as(pixels)
        mix = torch.diag(torch.tensor(self.kept))
        if not self.silver:
            absorbs = torch.tensor(_ABSORBS)
            mix = absorbs @ mix @ torch.linalg.inv(absorbs)
        faded = torch.einsum("ij,njhw->nihw", mix.to(pixels), density(pixels))
        return display(faded + torch.tensor(self.stain).to(pixels)[:, None, None])


def sample_fading(seed: int, kind: Kind | None = None) -> Fading:
    """A film faded in a usual way; `kind` is drawn if not given."""
    random = np.random.default_rng((seed, 41))
    drawn = KINDS[int(random.integers(len(KINDS)))]
    kind = kind or drawn
    kept = [float(random.uniform(*bounds)) for bounds in _KEPT[kind]]
    if kind == "even":  # all alike, with a little to tell them apart
        kept = [float(np.clip(kept[0] + random.normal(0, 0.03), 0.4, 0.95)) for _ in range(3)]
    if kind == "silver":
        kept = sorted(kept)  # what is left of the silver browns: it keeps blue density longest
    yellow = float(random.uniform(0.02, 0.22 if kind == "silver" else 0.12))
    stain = (0.02 + 0.1 * yellow, 0.02 + 0.4 * yellow, 0.02 + yellow)
    return Fading((kept[0], kept[1], kept[2]), stain, silver=kind == "silver")
