"""Vertical scratches: cut by a grain of dirt while the film ran past it, so they stay for many frames and wander.

The profile is a ridge or a trough a few pixels wide, at times with a faint rim of the other sign, as in Kokaram's model
of line scratches (Motion Picture Restoration, Springer 1998, ch. 9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Rows = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scratches:
    """How scratched a film is; sizes in pixels of a picture of 480 lines."""

    seed: int = 0
    lines: int = 3
    width: tuple[float, float] = (0.9, 2.6)
    """Full width at half height."""
    strength: tuple[float, float] = (0.10, 0.35)
    """How much lighter or darker their middle is."""
    wander: float = 0.35
    """Standard deviation of a step from one frame to the next."""
    light: float = 0.6
    """Share of white ones."""
    rim: float = 0.15
    """How strong the rim of the other sign is, beside the line."""

    def layer(self, frame: int, height: int, width: int) -> npt.NDArray[np.float32]:
        """(height, width): what is added to one frame."""
        unit = height / 480
        added = np.zeros((height, width))
        columns = np.arange(width)[None, :]
        for line in range(self.lines):
            random = np.random.default_rng((self.seed, line))
            middle = random.uniform(0.04, 0.96) * width
            half = max(0.8, random.uniform(*self.width) * unit) / 2.355
            tone = random.uniform(*self.strength) * (1 if random.random() < self.light else -1)
            top, bottom = (-1.0, 2.0) if random.random() < 0.7 else sorted(random.uniform((-0.3, 0.6), (0.4, 1.3)))
            slope, period, phase = random.normal(0, 1.2), random.uniform(0.4, 1.5), random.uniform(0, 6.28)
            wave = random.uniform(0, 0.8) * unit
            steps = np.random.default_rng((self.seed, line, 1)).normal(0, self.wander * unit, frame + 1)
            x = middle + _walk(steps)
            rows = np.arange(height) / height
            path = x + slope * unit * (rows - 0.5) + wave * np.sin(rows / period * 6.28 + phase + 0.3 * frame)
            uneven = _uneven(np.random.default_rng((self.seed, line, 2, frame)), height)
            there = np.clip((rows - top) * 25, 0, 1) * np.clip((bottom - rows) * 25, 0, 1) * uneven
            away = (columns - path[:, None]) / half
            profile = np.exp(-(away**2) / 2) - self.rim * np.exp(-((np.abs(away) - 3) ** 2) / 2)
            added += tone * there[:, None] * profile
        return added.astype(np.float32)

    def apply(self, pixels: Tensor, first_frame: int = 0) -> Tensor:
        """Scratch consecutive frames, (N, C, H, W) nominally [0, 1]; where scratched, the result is clamped to that."""
        result = pixels.clone()
        height, width = pixels.shape[-2:]
        for number, picture in enumerate(result, first_frame):
            added = torch.from_numpy(self.layer(number, height, width)).to(pixels)
            picture.copy_(torch.where(added.abs() > 1e-3, (picture + added).clamp(0, 1), picture))
        return result


def _walk(steps: Rows) -> float:
    """Where a walk that is drawn back to its middle has come to."""
    x = 0.0
    for step in steps:
        x = 0.97 * x + float(step)
    return x


def _uneven(random: np.random.Generator, height: int) -> Rows:
    """How deep the scratch is along its length: mostly whole, in places thin."""
    knots = np.clip(random.normal(0.85, 0.2, max(3, height // 24)), 0.15, 1.0)
    return np.interp(np.arange(height), np.linspace(0, height, len(knots)), knots)
