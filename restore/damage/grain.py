"""Film grain and sensor noise. Random numbers are drawn on the CPU, so that a seed means the same on every device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from restore.damage.optics import convolve, disc_kernel, gaussian_kernel

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


_SCANNER = 0.45
"""Sigma, in pixels, of what lens and scanner blur before they sample."""


@dataclass(frozen=True, slots=True)
class Grain:
    """The grain of one film: how coarse, how strong, how it goes with brightness; another one in every frame."""

    seed: int = 0
    deviation: float = 0.08
    """Largest standard deviation of display values, at the brightness where grain shows most."""
    size: float = 0.8
    """Of the clumps, pixels: the sigma of a Gaussian, or half the radius of a disc."""
    color: float = 0.0
    """Share of the variance that differs between the layers for red, green and blue, [0, 1]."""
    shape: Literal["gauss", "disc"] = "gauss"
    """What a clump is like: its transform is the root of the spectrum. A disc's has a steeper edge, and lobes."""
    law: Literal["coverage", "density"] = "coverage"
    """``coverage``: variance as x (1 - x), symmetric around mid-grey. ``density``: deviation of optical density as the
    root of density (Siedentopf 1937), of a print seen through a display of gamma 2.2: most in the light mid-tones,
    little in black."""
    least: float = 0.2
    """The deviation left in black and in white, of the largest: fog, and the negative's own grain."""

    def apply(self, pixels: Tensor, first_frame: int = 0) -> Tensor:
        """Lay grain over consecutive frames: (N, 3, H, W) in [0, 1], a new tensor, clipped as film is.

        `first_frame` is the number of the first one: a frame's grain is the same however frames are grouped.
        """
        if not self.deviation:
            return pixels.clone()
        amount = self.deviation * self._relative(luma(pixels).clamp(0, 1))
        noise = [self._noise(frame, number) for number, frame in enumerate(pixels, first_frame)]
        return (pixels + amount * torch.stack(noise)).clamp(0, 1)

    def _relative(self, tone: Tensor) -> Tensor:
        """Deviation at a display value, of the largest."""
        if self.law == "coverage":
            curve = (4 * tone * (1 - tone)).sqrt()
        else:
            # T = v ** 2.2, D = -log10 T, d(D) as sqrt(D): hence d(v) as v sqrt(-ln v); its largest is at exp(-1/2).
            curve = tone * (-tone.clamp(min=1e-6).log()).clamp(min=0).sqrt() / (math.exp(-0.5) * math.sqrt(0.5))
        return self.least + (1 - self.least) * curve

    def _noise(self, frame: Tensor, number: int) -> Tensor:
        """(3, H, W) of unit variance and the grain's spectrum."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % 2**63)
        shape = (1, 1, *frame.shape[-2:])
        shared, own = white(shape, generator, frame), white((1, 3, *shape[2:]), generator, frame)
        noise = math.sqrt(1 - self.color) * shared + math.sqrt(self.color) * own
        kernels = [gaussian_kernel(_SCANNER)]
        if self.size > 0.2:
            kernels.append(gaussian_kernel(self.size) if self.shape == "gauss" else disc_kernel(self.size))
        impulse = torch.zeros(1, 1, 65, 65)
        impulse[..., 32, 32] = 1
        for kernel in kernels:
            noise, impulse = convolve(noise, kernel), convolve(impulse, kernel)
        return noise[0] / impulse.square().sum().sqrt().to(noise)
