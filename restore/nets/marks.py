"""A small network that tells damage of a single picture (scratches, creases, specks) from the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MarkNet(nn.Module):
    """Luma in, the odds of damage out, pixel by pixel: a U of three sizes, dilated at the coarsest.

    A scratch is thin, so what an opening and a closing take away is handed in beside the picture; whether it is a
    scratch or a wire shows in what lies around it, some hundred pixels far.
    """

    multiple = 4
    """Height and width must be divisible by this."""

    def __init__(self, features: int = 12) -> None:
        super().__init__()
        wide, widest = 2 * features, 2 * features + 8
        self.first = nn.Conv2d(4, features, 3, padding=1)
        self.second = nn.Conv2d(features, features, 3, padding=1)
        self.middle = nn.Conv2d(features, wide, 3, padding=1)
        self.middle_again = nn.Conv2d(wide, wide, 3, padding=1)
        self.quarter = nn.Conv2d(wide, widest, 3, padding=1)
        self.far = nn.ModuleList(nn.Conv2d(widest, widest, 3, padding=d, dilation=d) for d in (1, 2, 4, 8))
        self.up_half = nn.Conv2d(widest + wide, wide, 3, padding=1)
        self.up_full = nn.Conv2d(wide + features, features, 3, padding=1)
        self.last = nn.Conv2d(features, 1, 1)

    def forward(self, luma: Tensor) -> Tensor:
        """(N, 1, H, W), nominally [0, 1], to logarithms of odds, (N, 1, H, W)."""
        opened = -_largest(-luma)
        light = luma - _largest(opened)
        dark = luma + _largest(-_largest(luma))
        fine = luma - F.avg_pool2d(F.pad(luma, [1] * 4, mode="replicate"), 3, 1)
        full = torch.cat((luma - 0.5, 4 * light, 4 * dark, 8 * fine), dim=1)
        full = F.relu(self.second(F.relu(self.first(full))))
        half = F.relu(self.middle_again(F.relu(self.middle(F.max_pool2d(full, 2)))))
        far = F.relu(self.quarter(F.max_pool2d(half, 2)))
        for conv in self.far:
            far = far + F.relu(conv(far))
        half = F.relu(self.up_half(torch.cat((_twice(far), half), dim=1)))
        full = F.relu(self.up_full(torch.cat((_twice(half), full), dim=1)))
        return self.last(full)


def _largest(x: Tensor) -> Tensor:
    """The largest value in a square of nine pixels' side."""
    return F.max_pool2d(x, 9, 1, 4)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
