"""Moving planes by fractions of a pixel, and what stands in for the parts no frame has shown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

LOBES = 4
"""Of the Lanczos kernel (Duchon 1979): 8 samples a direction, sharp up to 0.8 of the Nyquist frequency."""


def canvas(plane: torch.Tensor, others: Sequence[tuple[torch.Tensor, float, float]], margin: int) -> torch.Tensor:
    """A plane (h, w) with `margin` more samples on each side.

    They come from other frames as far as these show them, the last of `others` first of all, and repeat the edge
    beyond.

    Args:
        plane: of the frame itself.
        others: planes of other frames, and how far the scene lies right and down in them beside this one.
        margin: samples on each side.
    """
    height, width = plane.shape
    result = F.pad(plane[None, None], (margin,) * 4, mode="replicate")[0, 0]
    tall, wide = result.shape
    ring = ((0, margin, 0, wide), (tall - margin, tall, 0, wide), (0, tall, 0, margin), (0, tall, wide - margin, wide))
    for other, right, down in others:
        for strip in ring:
            _lend(result, other, right - margin, down - margin, strip)
    result[margin : margin + height, margin : margin + width] = plane
    return result


def _lend(
    result: torch.Tensor, other: torch.Tensor, right: float, down: float, strip: tuple[int, int, int, int]
) -> None:
    """Write a strip (top, bottom, left, right) of a canvas as far as another plane, so far off, shows it; bilinear."""
    x, y = math.floor(right), math.floor(down)
    top, bottom = max(strip[0], -y), min(strip[1], other.shape[0] - 1 - y)
    left, stop = max(strip[2], -x), min(strip[3], other.shape[1] - 1 - x)
    if top >= bottom or left >= stop:
        return
    part = other[top + y : bottom + y + 1, left + x : stop + x + 1]
    across = torch.lerp(part[:, :-1], part[:, 1:], right - x)
    result[top:bottom, left:stop] = torch.lerp(across[:-1], across[1:], down - y)


def shifted(padded: torch.Tensor, margin: int, right: float, down: float) -> torch.Tensor:
    """The inner part of a canvas, its contents moved right and down, by a separable Lanczos filter.

    `margin` must be at least the movement and `LOBES` more.
    """
    height, width = padded.shape[0] - 2 * margin, padded.shape[1] - 2 * margin
    first, taps = _taps(-right)
    start = margin + first
    rows = padded[:, start : start + width] * taps[0]
    for number, tap in enumerate(taps[1:], 1):
        rows.add_(padded[:, start + number : start + number + width], alpha=tap)
    first, taps = _taps(-down)
    start = margin + first
    result = rows[start : start + height] * taps[0]
    for number, tap in enumerate(taps[1:], 1):
        result.add_(rows[start + number : start + number + height], alpha=tap)
    return result


def _taps(offset: float) -> tuple[int, list[float]]:
    """Where a Lanczos filter that reads at `offset` begins, and its weights, which add up to 1."""
    whole = math.floor(offset)
    fraction = offset - whole
    if fraction < 1e-6:
        return whole, [1.0]
    positions = [k - (LOBES - 1) - fraction for k in range(2 * LOBES)]
    weights = [_sinc(x) * _sinc(x / LOBES) for x in positions]
    total = sum(weights)
    return whole - (LOBES - 1), [weight / total for weight in weights]


def _sinc(x: float) -> float:
    return 1.0 if abs(x) < 1e-9 else math.sin(math.pi * x) / (math.pi * x)


def turned(
    padded: torch.Tensor, margin: int, right: float, down: float, angle: float, enlarge: float, aspect: float
) -> torch.Tensor:
    """As `shifted`, and turned clockwise by `angle` and enlarged by `enlarge` about the centre, bicubic.

    `aspect` is how much wider than high one sample of the plane is, in pixels of the picture.
    """
    height, width = padded.shape[0] - 2 * margin, padded.shape[1] - 2 * margin
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=padded.device) - (height - 1) / 2 - down,
        torch.arange(width, dtype=torch.float32, device=padded.device) - (width - 1) / 2 - right,
        indexing="ij",
    )
    cos, sin = math.cos(angle) / enlarge, math.sin(angle) / enlarge
    u, v = cos * x + sin / aspect * y, cos * y - sin * aspect * x
    grid = torch.stack((u * 2 / padded.shape[1], v * 2 / padded.shape[0]), dim=-1)
    return F.grid_sample(padded[None, None], grid[None], "bicubic", "border", align_corners=False)[0, 0]
