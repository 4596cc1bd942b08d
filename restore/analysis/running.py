"""Sums and maxima over every `width` neighbours, by doubling: some log2(width) passes instead of `width`."""

from __future__ import annotations

import torch
from torch import Tensor


def running_max(values: Tensor, width: int) -> Tensor:
    """(..., n - width + 1): the largest of every `width` neighbours along the last axis."""
    size = 1
    while 2 * size <= width:
        values = torch.maximum(values[..., :-size], values[..., size:])
        size *= 2
    rest = width - size
    return torch.maximum(values[..., :-rest], values[..., rest:]) if rest else values


def running_sum(values: Tensor, width: int, dim: int) -> Tensor:
    """Sums of every `width` neighbours along `dim`, which becomes `width` - 1 shorter."""
    whole = values.shape[dim] - width + 1
    result, place, size = None, 0, 1
    while True:
        if width & size:
            part = values.narrow(dim, place, whole)
            result = part if result is None else result + part
            place += size
        if 2 * size > width:
            assert result is not None
            return result
        count = values.shape[dim] - size
        values = values.narrow(dim, 0, count) + values.narrow(dim, size, count)
        size *= 2


def running_mean(values: Tensor, width: int, dim: int) -> Tensor:
    """Means over `width` (an odd number) neighbours, as many as before; at the edges over those there are."""
    if width == 1:
        return values
    reach, count = width // 2, values.shape[dim]
    shape = [1] * values.dim()
    shape[dim] = count
    at = torch.arange(count, device=values.device)
    heard = (at + reach).clamp(max=count - 1) - (at - reach).clamp(min=0) + 1
    edge = torch.zeros_like(values.narrow(dim, 0, 1)).expand(
        [reach if axis == dim % values.dim() else size for axis, size in enumerate(values.shape)]
    )
    sums = running_sum(torch.cat((edge, values, edge), dim), width, dim)
    return sums / heard.view(shape)
