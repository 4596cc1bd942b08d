"""One film's damage: a recipe with a seed, and what it does to pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from restore.damage import compression, grain, optics, tone
from restore.nets.degradation import BLUR_UNIT, NOISE_UNIT


@dataclass(frozen=True, slots=True)
class Damage:
    """What happened to a film, in the order it happens; the defaults are a clean picture.

    Sizes are in pixels of the damaged picture (after its downscale, where there is one); deviations are of samples in
    [0, 1].
    """

    seed: int = 0
    black_and_white: bool = False
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    fade: float = 0.0
    """Contrast lost, [0, 1]."""
    blur: float = 0.0
    """Sigma of the lens blur."""
    blur_aspect: float = 1.0
    blur_angle: float = 0.0
    defocus: bool = False
    """The blur is a disc instead of a Gaussian."""
    kernel: optics.Kernel = "bicubic"
    """How the picture was made smaller."""
    reduced: float = 1.0
    """Made this many times smaller and enlarged again."""
    grain: float = 0.0
    """Standard deviation at mid-grey."""
    grain_size: float = 0.6
    grain_color: float = 0.1
    sensor: float = 0.0
    """Standard deviation of white noise."""
    chroma_subsampled: bool = False
    jpeg: int = 0
    """JPEG quality, 1 to 100; 0 is no compression."""

    @property
    def degradation(self) -> tuple[float, float, float]:
        """(blur, noise, compression), each in [0, 1], as `restore.analysis.degradation` measures them."""
        sigma = math.hypot(self.blur * math.sqrt(self.blur_aspect), optics.reduced_sigma(self.reduced))
        noise = math.hypot(self.grain, self.sensor)
        lost = (100 - self.jpeg) / 100 if self.jpeg else 0.0
        return min(1.0, sigma / BLUR_UNIT), min(1.0, noise / NOISE_UNIT), lost

    def toned(self, pixels: Tensor) -> Tensor:
        """Only what happens to tones and colours: what an upscaler must leave as it is, so its truth in training."""
        if self.black_and_white:
            pixels = tone.black_and_white(pixels, self.tint)
        return tone.fade(pixels, self.fade) if self.fade else pixels

    def apply(self, pixels: Tensor, downscale: int = 1, first_frame: int = 0) -> Tensor:
        """Damage consecutive frames.

        Args:
            pixels: (N, 3, H, W), nominally [0, 1]; H and W are multiples of `downscale`.
            downscale: make the picture this many times smaller, after the blur and before the noise.
            first_frame: number of the first frame in its film; grain differs from frame to frame and is the same
                however the frames are grouped.

        Returns:
            (N, 3, H / downscale, W / downscale) in [0, 1], rounded to 8 bits.
        """
        pixels = self.toned(pixels)
        if self.blur:
            sigma = self.blur * downscale
            gauss = optics.gaussian_kernel(sigma, self.blur_aspect, self.blur_angle)
            pixels = optics.convolve(pixels, optics.disc_kernel(sigma) if self.defocus else gauss)
        height, width = pixels.shape[-2] // downscale, pixels.shape[-1] // downscale
        if downscale > 1:
            pixels = optics.resize(pixels, height, width, self.kernel)
        if self.reduced > 1:
            pixels = optics.reduce(pixels, self.reduced, self.kernel)
        if self.grain or self.sensor:
            frames = enumerate(pixels.unbind(), first_frame)
            pixels = torch.cat([self._with_noise(frame[None], number) for number, frame in frames])
        if self.chroma_subsampled:
            pixels = compression.subsample_chroma(pixels)
        return compression.jpeg(pixels, self.jpeg) if self.jpeg else compression.quantise(pixels)

    def _with_noise(self, frame: Tensor, number: int) -> Tensor:
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % 2**63)
        if self.grain:
            color = 0.0 if self.black_and_white else self.grain_color
            frame = grain.film_grain(frame, self.grain, self.grain_size, color, generator)
        return grain.sensor_noise(frame, self.sensor, generator) if self.sensor else frame
