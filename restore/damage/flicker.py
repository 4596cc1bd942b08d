"""Flicker: brightness that jumps from frame to frame, over the whole picture and differently in parts of it.

Uneven exposure (hand-cranked cameras, worn shutters) and uneven development. An exposure error is a factor on light,
hence on display values too (a power law keeps factors); development changes contrast, here a power of the values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Flicker:
    """What happened to each of N frames."""

    gain: Curve
    """(N,) natural log of the factor on brightness."""
    gamma: Curve
    """(N,) natural log of the exponent."""
    local: Curve
    """(N, rows, columns) log of a factor that differs over the picture, on a coarse grid, read smoothly between."""

    def apply(self, pixels: Tensor, first_frame: int = 0) -> Tensor:
        """(N, C, H, W) in [0, 1] as the flickering film shows it; clipped, as film is."""
        stop = first_frame + len(pixels)
        gain, gamma = (torch.from_numpy(c[first_frame:stop]).to(pixels) for c in (self.gain, self.gamma))
        grid = torch.from_numpy(self.local[first_frame:stop, None]).to(pixels)
        local = F.interpolate(grid, pixels.shape[-2:], mode="bicubic", align_corners=False)
        factor = (gain[:, None, None, None] + local).exp()
        return (pixels.clamp(min=0) ** gamma.exp()[:, None, None, None] * factor).clamp(0, 1)


def sample_flicker(
    frames: int, seed: int, deviation: float = 0.05, *, contrast: float = 0.0, local: float = 0.0, pulse: float = 0.0,
    memory: float = 0.2, grid: tuple[int, int] = (3, 4),
) -> Flicker:  # fmt: skip
    """Random flicker.

    Args:
        frames: how many frames.
        seed: the same seed gives the same flicker.
        deviation: standard deviation of the factor on brightness.
        contrast: that of the exponent.
        local: that of the factor's differences over the picture.
        pulse: size of a regular pulse (a shutter or a pump out of step), period 5 to 9 frames.
        memory: how much of one frame's error is left in the next, [0, 1).
        grid: rows and columns of the local field.
    """
    random = np.random.default_rng(seed)
    period, phase = random.uniform(5, 9), random.uniform(0, 2 * np.pi)
    beat = pulse * np.sqrt(2) * np.sin(2 * np.pi * np.arange(frames) / period + phase)
    return Flicker(
        deviation * _remembering(random.normal(size=(frames, 1)), memory)[:, 0] + beat,
        contrast * _remembering(random.normal(size=(frames, 1)), memory)[:, 0],
        local * _remembering(random.normal(size=(frames, grid[0] * grid[1])), memory).reshape(frames, *grid),
    )


def _remembering(noise: Curve, memory: float) -> Curve:
    """Unit noise (N, C) as a first-order autoregression of unit variance."""
    result = noise.copy()
    for number in range(1, len(noise)):
        result[number] = memory * result[number - 1] + np.sqrt(1 - memory**2) * noise[number]
    return result
