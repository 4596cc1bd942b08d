"""The plan's low-resolution chroma brought to the frame's size, so that colours end where luma has edges.

Joint bilateral upsampling: Kopf, Cohen, Lischinski, Uyttendaele, SIGGRAPH 2007. Nine samples round each place are
weighed by their distance and by how near their luma is to that of the place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

LARGEST = 320
"""Longer side of the pictures the plan's chroma is made for."""
_EDGE = 0.06
"""Difference of luma at which a sample's weight has halved."""


def plan_size(height: int, width: int) -> tuple[int, int]:
    """(h, w) of the plan's chroma for frames of this size; never larger than they are."""
    scale = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def reduced(luma: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(N, H, W) luma at the plan's size, each value the mean of what it covers."""
    if tuple(luma.shape[1:]) == size:
        return luma
    return F.interpolate(luma.unsqueeze(1), size, mode="area")[:, 0]


def _places(count: int, of: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """For each of `count` places: the nearest of `of` samples, and how far past its middle the place lies."""
    at = (torch.arange(count, device=device) + 0.5) * (of / count) - 0.5
    nearest = at.round().clamp(0, of - 1)
    return nearest.long(), (at - nearest).clamp(-0.5, 0.5)


def _spline(offset: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Quadratic B-spline weights of the sample before, the nearest, and the one after."""
    return 0.5 * (0.5 - offset) ** 2, 0.75 - offset**2, 0.5 * (0.5 + offset) ** 2


def enlarged(chroma: torch.Tensor, luma: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Chroma for one frame.

    Args:
        chroma: (2, h, w) float32, as the plan has it.
        luma: (H, W) float32 of the whole frame.
        size: (height, width) of the frame's chroma planes.

    Returns:
        (2, *size) float32.
    """
    low = reduced(luma[None], (chroma.shape[1], chroma.shape[2]))[0]
    high = reduced(luma[None], size)[0]
    rows, down = _places(size[0], chroma.shape[1], luma.device)
    columns, across = _places(size[1], chroma.shape[2], luma.device)
    vertical, horizontal = _spline(down), _spline(across)
    samples = torch.cat((chroma, low[None]))
    total = torch.zeros((2, *size), device=luma.device)
    weight = torch.zeros(size, device=luma.device)
    for i, dy in enumerate((-1, 0, 1)):
        line = samples[:, (rows + dy).clamp(0, samples.shape[1] - 1)]
        for j, dx in enumerate((-1, 0, 1)):
            part = line[:, :, (columns + dx).clamp(0, samples.shape[2] - 1)]
            near = (part[2] - high).mul_(1 / _EDGE).square_()
            share = vertical[i][:, None] * horizontal[j][None, :] / near.square_().add_(1)
            total += part[:2] * share
            weight += share
    return total / weight.clamp_min(1e-9)
