"""A small network that tells damage of a single picture (scratches, creases, specks) from the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MarkNet(nn.Module):
    """Luma in, the odds of damage out, pixel by pixel: a U from half the size to a sixteenth.

    A scratch is thin, so what an opening and a closing take away is handed in beside the picture; whether it is a
    scratch or a wire shows in what lies around it, some hundred pixels far. Squares of two by two pixels are taken as
    one place with four times the values, which costs a fraction of working at full size and loses nothing.
    """

    multiple = 16
    """Height and width must be divisible by this."""

    def __init__(self, features: int = 24) -> None:
        super().__init__()
        wide = features * 5 // 3
        self.first = nn.Conv2d(16, features, 3, padding=1)
        self.second = nn.Conv2d(features, features, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(inputs, wide, 3, padding=1) for inputs in (features, wide, wide))
        self.there = nn.ModuleList(nn.Conv2d(wide, wide, 3, padding=1) for _ in range(3))
        self.up = nn.ModuleList(nn.Conv2d(wide, wide, 3, padding=1) for _ in range(2))
        self.back = nn.Conv2d(wide, features, 1)
        self.third = nn.Conv2d(features, features, 3, padding=1)
        self.fourth = nn.Conv2d(features, features, 3, padding=1)
        self.last = nn.Conv2d(features, 4, 1)

    def forward(self, luma: Tensor) -> Tensor:
        """(N, 1, H, W), nominally [0, 1], to logarithms of odds, (N, 1, H, W)."""
        opened = -_largest(-luma)
        light = luma - _largest(opened)
        dark = luma + _largest(-_largest(luma))
        fine = luma - F.avg_pool2d(F.pad(luma, [1] * 4, mode="replicate"), 3, 1)
        seen = F.pixel_unshuffle(torch.cat((luma - 0.5, 4 * light, 4 * dark, 8 * fine), dim=1), 2)
        half = F.relu(self.second(F.relu(self.first(seen))))
        sizes = [half]
        for down, there in zip(self.down, self.there, strict=True):
            smaller = F.relu(down(F.max_pool2d(sizes[-1], 2)))
            sizes.append(smaller + F.relu(there(smaller)))
        wide = sizes.pop()
        for up in self.up:
            wide = sizes.pop() + _twice(wide)
            wide = wide + F.relu(up(wide))
        half = half + _twice(self.back(wide))
        half = half + F.relu(self.fourth(F.relu(self.third(half))))
        return F.pixel_shuffle(self.last(half), 2)


def _largest(x: Tensor) -> Tensor:
    """The largest value in a square of nine pixels' side, rows and columns one after the other."""
    return F.max_pool2d(F.max_pool2d(x, (9, 1), 1, (4, 0)), (1, 9), 1, (0, 4))


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
