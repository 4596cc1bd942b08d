"""Grain and pores taken off what an engine sees: a delta is added to the picture that has them still."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from restore.stages.reage.bands import blurred, luma_of

_MUCH = 3.0
"""Differences under so many standard deviations of the grain are taken for grain."""
_SIGMA = 1.6
"""Pixels of a crop over which it is averaged."""
_LAPLACIANS = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))


def degrained(crops: Tensor) -> Tensor:
    """(N, 3, S, S) without fine grain; edges and wrinkles, which are stronger than it, stay.

    Luma through the guided filter, itself the guide: K. He, J. Sun, X. Tang, "Guided Image Filtering", PAMI 2013.
    """
    luma = luma_of(crops)
    least = (_MUCH * grain_of(luma)).square()[:, None, None]
    mean = blurred(luma, _SIGMA)
    spread = (blurred(luma.square(), _SIGMA) - mean.square()).clamp(min=0)
    kept = spread / (spread + least + 1e-8)
    smooth = blurred(kept, _SIGMA) * luma + blurred((1 - kept) * mean, _SIGMA)
    return crops + (smooth - luma)[:, None]


def grain_of(luma: Tensor) -> Tensor:
    """(N,) standard deviation of the finest noise of (N, S, S) luma, in the middle of the face.

    J. Immerkær, "Fast Noise Variance Estimation", CVIU 64(2), 1996, with the median for the mean.
    """
    kernel = torch.tensor(_LAPLACIANS, dtype=luma.dtype, device=luma.device)[None, None]
    side = luma.shape[-1]
    middle = luma[:, None, 3 * side // 10 : 7 * side // 10, 35 * side // 100 : 65 * side // 100]
    fine = F.conv2d(middle, kernel)[:, 0, ::2, ::2].abs().flatten(1)
    return fine.median(1).values / (0.6745 * 6)
