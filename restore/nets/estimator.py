"""A small network that says how blurred, noisy and compressed a crop is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DegradationNet(nn.Module):
    """Crops in, (blur, noise, compression) out; see `restore.analysis.degradation` for their units.

    The picture and what a small binomial blur takes from it (its finest detail, where noise and blocks show) go through
    strided convolutions; mean and spread of the features over the crop are what is read.

    Args:
        features: channels of the first convolution; the later ones have twice as many.
        outputs: length of the degradation vector.
    """

    minimum_size = 16
    """Pixels a crop needs in each direction."""

    def __init__(self, features: int = 16, outputs: int = 3) -> None:
        super().__init__()
        binomial = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("smoothing", torch.outer(binomial, binomial)[None, None].repeat(3, 1, 1, 1))
        wide = 2 * features
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(6, features, 3),
                nn.Conv2d(features, wide, 3, stride=2),
                nn.Conv2d(wide, wide, 3),
                nn.Conv2d(wide, wide, 3, stride=2),
            ]
        )
        pooled = 2 * (features + wide + wide + wide)
        self.head = nn.Sequential(nn.Linear(pooled, 64), nn.SiLU(), nn.Linear(64, outputs))

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, H, W), nominally [0, 1], H and W at least `minimum_size`, to (N, outputs), not clamped."""
        smoothing = self.get_buffer("smoothing")
        fine = crops - F.conv2d(F.pad(crops, [1] * 4, mode="replicate"), smoothing, groups=3)
        x = torch.cat((crops - 0.5, 8 * fine), dim=1)
        pooled = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            deviation = (x.float().var(dim=(2, 3), correction=0) + 1e-6).sqrt()
            pooled += [x.float().mean(dim=(2, 3)), deviation]
        return self.head(torch.cat(pooled, dim=1))
