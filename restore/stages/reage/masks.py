"""Where a face may be changed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor


@lru_cache(maxsize=8)
def framed(side: int, device: torch.device) -> Tensor:
    """(side, side) 1 inside a crop, 0 at its rim, so that a delta ends softly."""
    at = torch.arange(side, dtype=torch.float32, device=device)
    rim = (torch.minimum(at, side - 1 - at) / (0.08 * side)).clamp(0, 1)
    soft = rim * rim * (3 - 2 * rim)
    return soft[:, None] * soft[None, :]


def enlarged_mask(mask: npt.NDArray[np.float32], side: int) -> Tensor:
    """(side, side) of a small mask, softly."""
    plane = torch.from_numpy(mask)[None, None]
    return F.interpolate(plane, (side, side), mode="bicubic", align_corners=False)[0, 0].clamp(0, 1)
