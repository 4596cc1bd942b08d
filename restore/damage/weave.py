"""Gate weave: the film does not lie in the gate in the same place twice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Path = npt.NDArray[np.float64]


def sample_weave(frames: int, seed: int, deviation: float = 1.0, *, sway: float = 0.5, turn: float = 0.0) -> Path:
    """Random weave: a jump at every frame, and a slow sway of the reel.

    Args:
        frames: how many frames.
        seed: the same seed gives the same weave.
        deviation: standard deviation of the vertical position, pixels; across, where edge guides hold the film, 0.7
            of it.
        sway: what share of it comes back every 6 to 12 frames (the sprockets), [0, 1].
        turn: standard deviation of the angle, radians.

    Returns:
        (N, 3): how far the picture lies right and down, pixels, and turned clockwise, radians.
    """
    random = np.random.default_rng(seed)
    jumps = random.normal(size=(frames, 3))
    period, phase = random.uniform(6, 12, 3), random.uniform(0, 2 * np.pi, 3)
    swing = np.sqrt(2) * np.sin(2 * np.pi * np.arange(frames)[:, None] / period + phase)
    unit = np.sqrt(1 - sway**2) * jumps + sway * swing
    return np.asarray(unit * (0.7 * deviation, deviation, turn))


def weave(pixels: Tensor, path: Path, margin: int = 0) -> Tensor:
    """Move frames by a path of `sample_weave`.

    Args:
        pixels: (N, C, H, W), nominally [0, 1].
        path: (N, 3), for these frames.
        margin: cut off so many pixels at each edge, which no film has shown; else the edges are repeated.
    """
    height, width = pixels.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    moved = []
    for frame, (dx, dy, angle) in zip(pixels, path, strict=True):
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        u, v = x - float(dx), y - float(dy)
        grid = torch.stack(((cos * u + sin * v) * 2 / width, (cos * v - sin * u) * 2 / height), dim=-1)
        moved.append(F.grid_sample(frame[None], grid[None].to(frame), "bicubic", "border", align_corners=False)[0])
    stack = torch.stack(moved)
    return stack[..., margin : height - margin, margin : width - margin] if margin else stack
