"""The rendering half of `bandwidth`: the band below the edge moved up, as loud as the edge lets expect.

Spectral band replication as Dietz, Liljeryd, Kjorling and Kunz have it (AES 112th Convention, 2002), without their side
information: level and slope of what is added come from the frame itself, just below the edge.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from restore.analysis.noise_floor import BLOCKS
from restore.analysis.spectrum import smoothed
from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.bandwidth.analysis import BandAnalyzer, band_stft, near_edge
from restore.voice.bandwidth.options import BandwidthOptions

_MOST_TOP = 12000.0
_VOWEL = (200.0, 1000.0)
"""Hertz where vowels are loud, and an s or f is not."""
_VOWEL_RATIO = -25.0
"""dB of the edge over that band from which a frame is all vowel; at 0 it is all consonant."""
_DROP = (12.0, 0.0)
"""dB by which the addition begins beneath the level at the edge: of vowels, which have formants there that end, and of
consonants."""
_SLOPE = (24.0, 3.0)
"""dB an octave by which it falls, likewise."""
_CLEAR, _SURE = 3.0, 9.0
"""Times the noise that the edge must hold for anything to be added, and for all of it."""
_AROUND = 350.0
"""Hertz over which a spectrum's envelope is taken."""


class Bandwidth(AudioStage[BandwidthOptions]):
    """Each channel by itself."""

    name = "bandwidth"
    version = 2
    fixed: ClassVar[frozenset[str]] = frozenset({"edge"})

    def analyzer(self) -> AudioAnalyzer:
        """What finds the edge."""
        return BandAnalyzer(self.options)

    def window(self, format: AudioFormat) -> AudioWindow:
        """Some frames to smooth over."""
        size = band_stft(format).size
        return AudioWindow(2 * size, 2 * size)

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Take edge and noise from the plan."""
        self._edge = state.values.get("edge_hertz")
        self._noise = torch.from_numpy(state.arrays["noise"]).to(device.torch_device)
        self._stft = band_stft(format)
        if self._edge is not None:
            self._lay_out(float(self._edge), device.torch_device)

    def _lay_out(self, edge: float, device: torch.device) -> None:
        """Which bins are filled from which."""
        hertz = self._stft.hertz.to(device)
        top = min(self.options.top or min(2 * edge, _MOST_TOP), float(hertz[-1]))
        # Moved by so many bins that phases run on from frame to frame: a quarter overlap turns them by whole circles.
        move = max(4, int(edge * 0.45 / (self._stft.rate / self._stft.size)) // 4 * 4)
        first = int(0.9 * edge / (self._stft.rate / self._stft.size))
        self._target = torch.arange(first, int((hertz <= top).sum()), device=device)
        steps = torch.div(self._target - first, move, rounding_mode="floor") + 1
        self._source = self._target - steps * move
        self._octaves = torch.log2(hertz[self._target] / edge)
        rise = ((hertz[self._target] / edge - 0.9) / 0.1).clamp(0, 1)
        fall = ((top - hertz[self._target]) / (0.15 * (top - 0.9 * edge) + 1)).clamp(0, 1)
        self._shape = (rise * fall)[:, None]
        self._near = near_edge(self._stft, edge).to(device)
        self._lower = (hertz >= _VOWEL[0]) & (hertz <= min(_VOWEL[1], 0.5 * edge))
        self._width = round(_AROUND * self._stft.size / self._stft.rate) | 1

    def process(self, batch: AudioBatch) -> Tensor:
        """The sound, and what its edge lets expect above."""
        result = batch.samples[:, :, batch.core].clone()
        if self._edge is None or len(self._target) < 4:
            return result
        low = batch.format.low_channel
        for row, start in enumerate(batch.starts):
            for channel in range(batch.format.channels):
                sound = batch.samples[row, channel]
                if channel != low and bool(sound.any()):
                    added = self._added(sound, start - batch.core.start, batch.format)
                    result[row, channel] += self.options.strength * added[batch.core]
        return result

    def _added(self, sound: Tensor, first: int, format: AudioFormat) -> Tensor:
        spectra = self._stft.forward(sound[None])[0]
        power = spectra.abs().square()
        around = smoothed(power[None], self._width, 3)[0]
        near = smoothed(power[self._near].mean(0)[None, None], 1, 3)[0, 0]
        lower = smoothed(power[self._lower].mean(0)[None, None], 1, 3)[0, 0]
        at = first + torch.arange(len(near), device=near.device) * self._stft.hop
        noise = self._noise_at(at, format)
        clear = ((near / noise.clamp(min=1e-20) - _CLEAR) / (_SURE - _CLEAR)).clamp(0, 1)
        level = (near - noise).clamp(min=0) * clear
        ratio = 10 * torch.log10((near + 1e-20) / (lower + 1e-20))
        consonant = (1 - ratio / _VOWEL_RATIO).clamp(0, 1)
        drop, slope = (torch.lerp(torch.full_like(ratio, vowel), torch.full_like(ratio, other), consonant)
                       for vowel, other in (_DROP, _SLOPE))  # fmt: skip
        expected = level * 10 ** (-(drop + slope * self._octaves[:, None].clamp(min=0)) / 10)
        missing = (expected - around[self._target]).clamp(min=0)
        source = spectra[self._source] / around[self._source].clamp(min=1e-20).sqrt()
        filled = torch.zeros_like(spectra)
        filled[self._target] = source * missing.sqrt() * self._shape
        return self._stft.backward(filled[None], len(sound))[0]

    def _noise_at(self, at: Tensor, format: AudioFormat) -> Tensor:
        """(frames,) the noise's power in a bin at the edge."""
        if not len(self._noise):
            return torch.zeros(len(at), device=at.device)
        steps = (at / (format.chunk // BLOCKS) - 0.5).clamp(0, len(self._noise) - 1)
        lower = steps.long().clamp(max=max(0, len(self._noise) - 2))
        upper = (lower + 1).clamp(max=len(self._noise) - 1)
        return torch.lerp(self._noise[lower], self._noise[upper], steps - lower)
