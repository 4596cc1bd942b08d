"""What lenses and scanners do: blur, and pictures made smaller than they are."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kernel = Literal["bicubic", "area", "bilinear"]

#: A picture reduced r times and enlarged again has half its contrast left where a Gaussian of this times
#: sqrt(r**2 - 1) pixels would have (equal MTF50, the resampling filters taken as sharp up to 0.7 Nyquist).
_REDUCED_SIGMA = 0.53


def gaussian_kernel(sigma: float, aspect: float = 1.0, angle: float = 0.0) -> Tensor:
    """A normalised Gaussian, (k, k): `sigma` pixels along `angle` (radians), ``sigma * aspect`` across it."""
    radius = max(1, math.ceil(3 * sigma * max(1.0, aspect)))
    axis = torch.arange(-radius, radius + 1, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    across = -x * math.sin(angle) + y * math.cos(angle)
    kernel = torch.exp(-0.5 * ((along / sigma) ** 2 + (across / (sigma * aspect)) ** 2))
    return kernel / kernel.sum()


def disc_kernel(sigma: float) -> Tensor:
    """A lens out of focus: a disc with a soft rim, (k, k), as spread out as a Gaussian of `sigma` pixels."""
    radius = 2 * sigma  # the standard deviation of a disc along one axis is half its radius
    half = max(1, math.ceil(radius + 1))
    axis = torch.arange(-half, half + 1, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    kernel = (radius + 0.5 - torch.sqrt(x**2 + y**2)).clamp(0, 1)
    return kernel / kernel.sum()


def convolve(pixels: Tensor, kernel: Tensor) -> Tensor:
    """Convolve every plane of (N, C, H, W) with one (k, k) kernel; edges are repeated."""
    channels = pixels.shape[1]
    radius = kernel.shape[-1] // 2
    weight = kernel.to(pixels)[None, None].expand(channels, 1, -1, -1)
    return F.conv2d(F.pad(pixels, [radius] * 4, mode="replicate"), weight, groups=channels)


def resize(pixels: Tensor, height: int, width: int, kernel: Kernel = "bicubic") -> Tensor:
    """Resample (N, C, H, W), antialiased when it gets smaller; "area" averages what each new pixel covers."""
    if kernel == "area" and height <= pixels.shape[-2] and width <= pixels.shape[-1]:
        return F.interpolate(pixels, size=(height, width), mode="area")
    mode = "bicubic" if kernel == "bicubic" else "bilinear"
    return F.interpolate(pixels, size=(height, width), mode=mode, antialias=True)


def reduce(pixels: Tensor, factor: float, kernel: Kernel = "bicubic") -> Tensor:
    """Make (N, C, H, W) `factor` times smaller and enlarge it again: a copy of a copy, an old transfer's resolution."""
    height, width = pixels.shape[-2:]
    small = resize(pixels, max(1, round(height / factor)), max(1, round(width / factor)), kernel)
    return resize(small, height, width, "bilinear" if kernel == "bilinear" else "bicubic")


def reduced_sigma(factor: float) -> float:
    """The Gaussian, in pixels, that blurs about as much as `reduce` does."""
    return _REDUCED_SIGMA * math.sqrt(max(0.0, factor**2 - 1))
