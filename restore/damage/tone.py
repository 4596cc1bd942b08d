"""Faded and colourless pictures. Restoring these is not the upscaler's work: in training the truth is faded alike."""

from __future__ import annotations

import torch
from torch import Tensor

from restore.damage.grain import luma


def fade(pixels: Tensor, amount: float) -> Tensor:
    """Lose contrast: blacks rise, whites sink, by `amount` in [0, 1] of the way to mid-grey."""
    return pixels + amount * (0.5 - pixels)


def black_and_white(pixels: Tensor, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Tensor:
    """(N, 3, H, W) without its colours, its luma times `tint` (sepia: about (1.05, 1.0, 0.88))."""
    return luma(pixels) * torch.tensor(tint).to(pixels)[None, :, None, None]
