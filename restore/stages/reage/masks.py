"""Where a face may be changed."""

from __future__ import annotations

from collections.abc import Mapping
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


def lasting(covers: Mapping[int, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """What covers a face, by frames away from this one (0), as one mask: nowhere less than in this frame; what comes or
    goes does so over three frames."""
    largest = [
        np.max([covers[near] for near in (away - 1, away, away + 1) if near in covers], axis=0)
        for away in (-1, 0, 1) if away in covers
    ]  # fmt: skip
    return np.asarray(np.mean(largest, axis=0), np.float32)
