"""Film grain and sensor noise. Random numbers are drawn on the CPU, so that a seed means the same on every device."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restore.damage.optics import convolve, gaussian_kernel

LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of R, G and B in luma (ITU-R BT.709)."""


def luma(pixels: Tensor) -> Tensor:
    """(N, 1, H, W) from (N, 3, H, W)."""
    return torch.einsum("c,nchw->nhw", pixels.new_tensor(LUMA), pixels)[:, None]


def white(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Gaussian noise of unit variance on the device and in the type of `like`."""
    return torch.randn(shape, generator=generator).to(like)


def film_grain(
    pixels: Tensor, deviation: float, size: float, color: float, generator: torch.Generator, *, shadows: float = 0.35
) -> Tensor:
    """Add grain to (N, 3, H, W): strongest in the mid-tones, mostly the same in R, G and B.

    Grain is clumps of developed silver: seen through a scanner it is noise whose spectrum falls off like a Gaussian,
    and whose variance follows that of a coverage between none and full, x (1 - x) (Selwyn's model).

    Args:
        pixels: nominally [0, 1].
        deviation: standard deviation at mid-grey.
        size: of the clumps, the sigma of their blur in pixels; 0 is white noise.
        color: how much of the variance is independent between channels, [0, 1]; 0 for a black-and-white negative.
        generator: a CPU generator.
        shadows: the deviation left in black and white, of that at mid-grey.
    """
    n, channels, height, width = pixels.shape
    shared = white((n, 1, height, width), generator, pixels)
    own = white((n, channels, height, width), generator, pixels)
    noise = math.sqrt(1 - color) * shared + math.sqrt(color) * own
    if size > 0.2:
        kernel = gaussian_kernel(size)
        noise = convolve(noise, kernel) / kernel.square().sum().sqrt().to(noise)
    tone = luma(pixels).clamp(0, 1)
    strength = shadows + (1 - shadows) * (4 * tone * (1 - tone)).sqrt()
    return pixels + deviation * strength * noise


def sensor_noise(pixels: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Add white noise of a scanner or a camera to (N, 3, H, W), a third of its variance from photons."""
    signal = pixels.clamp(0, 1)
    variance = 2 / 3 + 1 / 3 * 2 * signal  # mean 1 at mid-grey
    noise: Tensor = deviation * variance.sqrt() * white(tuple(pixels.shape), generator, pixels)
    return pixels + noise
