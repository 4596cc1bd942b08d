"""Where a face may be changed."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=8)
def framed(side: int, device: torch.device) -> Tensor:
    """(side, side) 1 inside a crop, 0 at its rim, so that a delta ends softly."""
    at = torch.arange(side, dtype=torch.float32, device=device)
    rim = (torch.minimum(at, side - 1 - at) / (0.08 * side)).clamp(0, 1)
    soft = rim * rim * (3 - 2 * rim)
    return soft[:, None] * soft[None, :]
