"""The noise that lies under a sound: its spectrum, followed through the track.

Minima control after Cohen, Noise spectrum estimation in adverse environments (IEEE Trans. SAP 11, 2003), with what an
archive allows and a telephone does not: looking ahead. A bin counts as noise where its short average stays near the
least one within a second on either side; noise is the mean of such bins, not a minimum made larger.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from restore.analysis.running import running_max
from restore.analysis.spectrum import ShortTime, power_of, smoothed

_SHORT = 19
"""Frames of the short average; it also runs over five neighbouring bins."""
_REACH = 1.0
"""Seconds on either side in which some pause is expected in every bin: longer than a held vowel."""
_NEAR = 2.0
"""How many times the least short average still counts as noise."""
_BIAS = 1.07
"""What the mean of bins chosen in this way is too small by; measured on white noise."""
_SILENT = 1e-11
"""Power of a bin, per sample of the window, that no recording has: digital silence, which is no noise."""
_LEAST_TRUST = 0.03
_AROUND = 500.0
"""Hertz over which noise is smooth."""
_ROWS = 64
"""Spectra worked on together."""
BLOCKS = 2
"""Noise spectra a chunk."""


def noise_bins(power: Tensor, stft: ShortTime) -> Tensor:
    """(n, bins, frames) bool: which hold nothing but noise; `power` likewise."""
    short = smoothed(power, 5, _SHORT)
    heard = power > _SILENT * stft.size
    reach = stft.frames(_REACH)
    ends = torch.full_like(short[..., :1], -torch.inf).expand(*short.shape[:-1], reach)
    turned = torch.where(heard, -short, -torch.inf)
    least = -running_max(torch.cat((ends, turned, ends), -1), 2 * reach + 1)
    return heard & (short < _NEAR * least)


class NoiseFloor:
    """Follows the noise of a track that comes in chunks; remembers two chunks of sound and the spectra it found."""

    def __init__(self, stft: ShortTime, chunk: int) -> None:
        self._stft, self._chunk = stft, chunk
        self._context = stft.samples(_REACH) + (_SHORT + 4) * stft.hop
        self._held: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._counts: list[Tensor] = []
        self.power: list[Tensor] = []
        """Of every frame of the track so far, the sum over bins; in parts."""
        self.steady: list[Tensor] = []
        """Likewise, the share of its bins that hold nothing but noise, [0, 1]; of those that hold anything."""

    def add(self, sound: Tensor) -> None:
        """Hear the next chunk, (channels, samples); the power of all channels given is one."""
        self._held.append(sound)
        if len(self._held) == 3:
            self._measure(1)
            self._held.pop(0)
        elif len(self._held) == 2:
            self._measure(0)

    def finish(self, trust: Tensor | None = None) -> Tensor:
        """(blocks, bins) mean power of the noise in each half of each chunk; zero where there was none to find.

        Args:
            trust: (blocks,) how much is to be given on each, [0, 1]: the noise of the others is led across the rest.
        """
        if self._held:
            self._measure(len(self._held) - 1)
        if not self._sums:
            return torch.zeros(0, self._stft.bins)
        sums, counts = torch.cat(self._sums), torch.cat(self._counts)
        if trust is not None:
            weight = trust.clamp(min=_LEAST_TRUST)[:, None]
            sums, counts = sums * weight, counts * weight
        return _without_tones(_spread(sums, counts) * _BIAS, self._stft)

    def _measure(self, place: int) -> None:
        before = self._held[place - 1][:, -self._context :] if place else self._held[place][:, :0]
        after = self._held[place + 1][:, : self._context] if place + 1 < len(self._held) else self._held[place][:, :0]
        sound = torch.cat((before, self._held[place], after), 1)
        power = power_of(self._stft.forward(sound)).mean(0, keepdim=True)
        noise = noise_bins(power, self._stft)[0]
        first = before.shape[1] // self._stft.hop
        frames = self._chunk // self._stft.hop // BLOCKS
        for block in range(BLOCKS):
            span = slice(first + block * frames, min(first + (block + 1) * frames, power.shape[2]))
            self._sums.append((power[0, :, span] * noise[:, span]).sum(1)[None])
            self._counts.append(noise[:, span].sum(1)[None].float())
        span = slice(first, min(first + BLOCKS * frames, power.shape[2]))
        heard = (power[0, :, span] > _SILENT * self._stft.size).sum(0)
        self.power.append(power[0, :, span].sum(0))
        self.steady.append(noise[:, span].sum(0) / heard.clamp(min=1))


def _without_tones(noise: Tensor, stft: ShortTime) -> Tensor:
    """Peaks cut down to what lies around them: what stays for seconds in one bin is a held note, but no hiss."""
    width = 2 * max(2, round(_AROUND / 2 * stft.size / stft.rate)) + 1
    padded = F.pad(noise[:, None], (width // 2, width // 2), mode="reflect")[:, 0]
    around = torch.empty_like(noise)
    for first in range(0, len(noise), _ROWS):  # a long track has thousands
        rows = slice(first, first + _ROWS)
        around[rows] = padded[rows].unfold(1, width, 1).median(2).values
    return torch.minimum(noise, 2.5 * around)


def _spread(sums: Tensor, counts: Tensor) -> Tensor:
    """Means over each block and, at half the weight, its neighbours; where too little was heard, over ever more."""
    result = torch.zeros_like(sums)
    known = torch.zeros_like(sums, dtype=torch.bool)
    reach, enough = 1, 20.0
    while True:
        kernel = torch.bartlett_window(2 * reach + 3, periodic=False)[1:-1].to(sums)
        wide = F.conv1d(F.pad(torch.stack((sums, counts)).transpose(1, 2), (reach, reach)).flatten(0, 1)[:, None],
                        kernel[None, None])  # fmt: skip
        total, heard = wide.reshape(2, sums.shape[1], -1).transpose(1, 2)
        new = ~known & (heard >= enough)
        result[new] = (total / heard.clamp(min=1e-6))[new]
        known |= new
        if bool(known.all()) or reach > len(sums):
            result[~known] = (total / heard.clamp(min=1e-6))[~known]  # the little there is
            break
        reach *= 3
    return result
