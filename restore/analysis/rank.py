"""The value of a given rank in every row, several times as quick on a processor as PyTorch's own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def ranked(values: Tensor, rank: int) -> Tensor:
    """(..., 1): the value along the last axis that `rank` others are not larger than, counted from 0."""
    if values.device.type != "cpu":
        return values.kthvalue(rank + 1, dim=-1, keepdim=True).values
    return torch.from_numpy(np.partition(values.numpy(), rank, axis=-1)[..., rank : rank + 1])


def median(values: Tensor) -> Tensor:
    """(..., 1): the median along the last axis, of an even number the lower one."""
    return ranked(values, (values.shape[-1] - 1) // 2)
