"""A voice gone hoarse: cycles that differ in length (jitter) and in height (shimmer), and breath through them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from restore.damage.sound import Samples, db
from restore.damage.sound_speed import read_at

_BAND = (25.0, 150.0)
"""Hertz in which length and height of cycles waver: faster than prosody, slower than the cycles themselves."""


@dataclass(frozen=True, slots=True)
class Hoarseness:
    """Made without knowing the pitch, so that nothing of a repair's own way of finding it is in the truth."""

    jitter: float = 0.012
    """Standard deviation of a cycle's length, as a share; healthy voices have under 0.01 between cycles."""
    shimmer: float = 0.12
    """Standard deviation of a cycle's height, as a share; healthy voices have under 0.04."""
    breath: float = -10.0
    """dB of breath noise against the voice, in voiced sounds."""
    seed: int = 0

    def apply(self, sound: Tensor, rate: int) -> Tensor:
        """The hoarse voice, exactly as long; timing strays by less than a tenth of a millisecond."""
        random = np.random.default_rng((self.seed, 5))
        samples = sound.shape[1]
        lengths = _wavering(random, samples, rate) * self.jitter
        places = np.arange(samples) + np.cumsum(lengths - lengths.mean())
        heights = np.clip(1 + self.shimmer * _wavering(random, samples, rate), 0.2, 2.0)
        voice = read_at(sound, torch.from_numpy(places)) * torch.from_numpy(heights).to(sound)
        return voice + _breath(voice, rate, random) * db(self.breath)


def _wavering(random: np.random.Generator, samples: int, rate: int) -> Samples:
    """(samples,) noise in `_BAND`, of deviation 1."""
    spectrum = np.fft.rfft(random.standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / rate)
    spectrum[(hertz < _BAND[0]) | (hertz > _BAND[1])] = 0
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / (noise.std() + 1e-12), np.float64)


def _breath(voice: Tensor, rate: int, random: np.random.Generator) -> Tensor:
    """Noise with the voice's own envelope in time and frequency, tilted to the treble; none in unvoiced sounds."""
    size = 1 << round(math.log2(0.02 * rate))
    window = torch.hann_window(size, dtype=torch.float64)
    noise = torch.from_numpy(random.standard_normal(voice.shape))
    heard = torch.stft(voice.double(), size, size // 4, window=window, return_complex=True)
    blown = torch.stft(noise, size, size // 4, window=window, return_complex=True)
    hertz = torch.fft.rfftfreq(size, 1 / rate)
    width = 2 * round(400 * size / rate) + 1
    power = heard.abs().square()
    envelope = torch.nn.functional.avg_pool1d(power.transpose(1, 2), width, 1, width // 2, count_include_pad=False)
    tilt = ((hertz / 1000).clamp(0.3, 4.0) ** 0.5)[:, None]
    low = power[:, hertz < 1200].sum(1, keepdim=True)
    voiced = (low / (power.sum(1, keepdim=True) + 1e-12) > 0.6).double()
    voiced = torch.nn.functional.avg_pool1d(voiced, 5, 1, 2, count_include_pad=False)
    shaped = blown / blown.abs().square().mean().sqrt() * envelope.transpose(1, 2).sqrt() * tilt * voiced
    return torch.istft(shaped, size, size // 4, window=window, length=voice.shape[1]).to(voice)
