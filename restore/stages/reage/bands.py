"""Bands of spatial frequency of a face's luma, relative to the distance between the eyes."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

EDGES = (0.010, 0.020, 0.040, 0.080, 0.160)
"""Sigmas, in eye distances, of the Gaussians between bands: pores, fine lines, wrinkles, folds, blotches, the rest."""


def luma_of(crops: Tensor) -> Tensor:
    """(N, S, S) of (N, 3, S, S), BT.709's weights."""
    return crops[:, 0] * 0.2126 + crops[:, 1] * 0.7152 + crops[:, 2] * 0.0722


def bands_of(luma: Tensor, unit: float) -> list[Tensor]:
    """Bands of (N, S, S) luma from fine to coarse; their sum is what a blur with the last of `EDGES` takes away.

    `unit`: pixels of an eye distance.
    """
    finer, bands = luma, []
    for edge in EDGES:
        coarser = blurred(luma, edge * unit)
        bands.append(finer - coarser)
        finer = coarser
    return bands


def blurred(planes: Tensor, sigma: float) -> Tensor:
    """(N, S, S) planes through a Gaussian, edges mirrored; wide ones on reduced planes."""
    if sigma < 0.3:
        return planes
    reduce = 1
    while sigma / reduce > 4 and min(planes.shape[1:]) // (2 * reduce) >= 16:
        reduce *= 2
    small = planes[:, None]
    if reduce > 1:
        small = F.avg_pool2d(small, reduce, ceil_mode=True, count_include_pad=False)
    kernel = _gaussian(round(sigma / reduce, 4)).to(planes)
    reach = min(len(kernel) // 2, min(small.shape[2:]) - 1)
    kernel = kernel[len(kernel) // 2 - reach : len(kernel) // 2 + reach + 1]
    kernel = kernel / kernel.sum()
    small = F.conv2d(F.pad(small, (reach, reach, 0, 0), mode="reflect"), kernel[None, None, None, :])
    small = F.conv2d(F.pad(small, (0, 0, reach, reach), mode="reflect"), kernel[None, None, :, None])
    if reduce > 1:
        size = (small.shape[2] * reduce, small.shape[3] * reduce)
        small = F.interpolate(small, size, mode="bilinear", align_corners=False)
    return small[:, 0, : planes.shape[1], : planes.shape[2]]


@lru_cache(maxsize=32)
def _gaussian(sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights: Tensor = torch.exp(-0.5 * (at / sigma) ** 2)
    return weights / weights.sum()
