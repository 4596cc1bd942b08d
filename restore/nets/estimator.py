"""A small network that says how blurred, noisy and compressed a crop is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DegradationNet(nn.Module):
    """Crops in, (blur, noise, compression) out; see `restore.nets.degradation` for their units.

    The picture and what a small binomial blur takes from it (its finest detail, where noise and blocks show) go through
    four convolutions. Read are, of every feature, the mean and the spread over the crop, and the tenth, fiftieth and
    ninetieth percentile of its local energy: noise shows where a picture is flattest, blur where it is sharpest.

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
        self.register_buffer("percentiles", torch.tensor([0.1, 0.5, 0.9]))
        wide = 2 * features
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(6, features, 3),
                nn.Conv2d(features, wide, 3, stride=2),
                nn.Conv2d(wide, wide, 3),
                nn.Conv2d(wide, wide, 3, stride=2),
            ]
        )
        statistics = 5 * (features + 3 * wide)
        self.head = nn.Sequential(nn.Linear(statistics, 64), nn.SiLU(), nn.Linear(64, outputs))

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, H, W), nominally [0, 1], H and W at least `minimum_size`, to (N, outputs), not clamped."""
        fine = crops - F.conv2d(F.pad(crops, [1] * 4, mode="replicate"), self.get_buffer("smoothing"), groups=3)
        x = torch.cat((crops - 0.5, 8 * fine), dim=1)
        statistics = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            statistics += self._statistics(x.float())
        return self.head(torch.cat(statistics, dim=1))

    def _statistics(self, x: Tensor) -> list[Tensor]:
        """Five (N, C) of (N, C, H, W)."""
        side = min(6, *x.shape[-2:])
        mean = F.avg_pool2d(x, side).flatten(2).mean(dim=2)
        energy = F.avg_pool2d(x.square(), side).flatten(2)
        deviation = ((energy.mean(dim=2) - mean.square()).relu() + 1e-6).sqrt()
        percentiles = (energy + 1e-5).log().quantile(self.get_buffer("percentiles"), dim=2) / 4
        return [mean, deviation, *percentiles]
