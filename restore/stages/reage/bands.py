"""Bands of spatial frequency of a face's luma, relative to the distance between the eyes."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
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
    small = reduced(planes, reduce)
    kernel = _gaussian(round(sigma / reduce, 4))
    reach = min(len(kernel) // 2, min(small.shape[1:]) - 1)
    kernel = kernel[len(kernel) // 2 - reach : len(kernel) // 2 + reach + 1]
    kernel = kernel / kernel.sum()
    small = _filtered_on_cpu(small, kernel) if small.device.type == "cpu" else _filtered(small, kernel.to(planes))
    return restored(small, reduce, planes.shape[1:])


def reduced(planes: Tensor, times: int) -> Tensor:
    """(N, s, s): means of blocks; at the edges of what there is of one."""
    if times == 1:
        return planes
    return F.avg_pool2d(planes[:, None], times, ceil_mode=True, count_include_pad=False)[:, 0]


def restored(small: Tensor, times: int, shape: torch.Size) -> Tensor:
    """Planes that `reduced` made, again as large as they were."""
    if times == 1:
        return small
    size = (small.shape[1] * times, small.shape[2] * times)
    whole = F.interpolate(small[:, None], size, mode="bilinear", align_corners=False)
    return whole[:, 0, : shape[0], : shape[1]]


def _filtered(planes: Tensor, kernel: Tensor) -> Tensor:
    reach = len(kernel) // 2
    across = F.conv2d(F.pad(planes[:, None], (reach, reach, 0, 0), mode="reflect"), kernel[None, None, None, :])
    return F.conv2d(F.pad(across, (0, 0, reach, reach), mode="reflect"), kernel[None, None, :, None])[:, 0]


def _filtered_on_cpu(planes: Tensor, kernel: Tensor) -> Tensor:
    """The same by OpenCV, which is several times as fast for single planes."""
    weights = kernel.numpy()
    done = [cv2.sepFilter2D(plane, -1, weights, weights, borderType=cv2.BORDER_REFLECT_101) for plane in planes.numpy()]
    return torch.from_numpy(np.stack(done))


@lru_cache(maxsize=32)
def _gaussian(sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights: Tensor = torch.exp(-0.5 * (at / sigma) ** 2)
    return weights / weights.sum()
