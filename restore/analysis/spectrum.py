"""Short-time spectra of sound on a fixed grid, and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restore.analysis.running import running_mean


class ShortTime:
    """A short-time Fourier transform with a root-Hann window both ways, three quarters overlapping.

    Frame k is centred on sample k * hop. Hops are powers of two, and so divide the chunks of any track.
    """

    def __init__(self, rate: int, seconds: float, overlap: int = 4) -> None:
        self.rate = rate
        self.size = 1 << max(5, round(math.log2(seconds * rate)))
        self.hop = self.size // overlap
        self._window = torch.hann_window(self.size).sqrt()

    @property
    def bins(self) -> int:
        """Frequencies, from 0 to half the rate."""
        return self.size // 2 + 1

    @property
    def hertz(self) -> Tensor:
        """(bins,) their centres."""
        hertz: Tensor = torch.fft.rfftfreq(self.size, 1 / self.rate)
        return hertz

    def frames(self, seconds: float) -> int:
        """How many hops a time is, at least one."""
        return max(1, round(seconds * self.rate / self.hop))

    def samples(self, seconds: float) -> int:
        """The least multiple of the hop that is at least this long."""
        return math.ceil(seconds * self.rate / self.hop) * self.hop

    def forward(self, sound: Tensor) -> Tensor:
        """(n, samples) real to (n, bins, 1 + samples / hop) complex; beyond the ends there is silence."""
        window = self._window.to(sound.device)
        return torch.stft(sound, self.size, self.hop, window=window, pad_mode="constant", return_complex=True)

    def backward(self, spectra: Tensor, samples: int) -> Tensor:
        """The sound of such spectra, (n, samples)."""
        window, parts = self._window.to(spectra.device), self.size // self.hop
        frames: Tensor = torch.fft.irfft(spectra.transpose(1, 2), self.size).mul_(window)
        count = frames.shape[1]
        sound = frames.new_zeros(len(frames), count + parts - 1, self.hop)
        weight = frames.new_zeros(count + parts - 1, self.hop)
        for part in range(parts):
            span = slice(part * self.hop, (part + 1) * self.hop)
            sound[:, part : part + count] += frames[:, :, span]
            weight[part : part + count] += window[span].square()
        heard = slice(self.size // 2, self.size // 2 + samples)
        return sound.flatten(1)[:, heard] / weight.flatten()[heard].clamp(min=1e-11)


def power_of(spectra: Tensor) -> Tensor:
    """Squared magnitude."""
    return spectra.real.square().addcmul_(spectra.imag, spectra.imag)


def smoothed(values: Tensor, bins: int, frames: int) -> Tensor:
    """(n, bins, frames) averaged over so many neighbours (odd numbers), fewer at the edges."""
    return running_mean(running_mean(values, bins, 1), frames, 2)
