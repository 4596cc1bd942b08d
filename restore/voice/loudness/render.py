"""The rendering half of `loudness`: one gain, and a limiter that looks ahead."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F

from restore.analysis.loudness import PEAK_REACH, true_peaks
from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.loudness.analysis import LoudnessAnalyzer
from restore.voice.loudness.options import LoudnessOptions

_BLOCK = 32
"""Samples for which the limiter decides at once."""
_LOOK_SECONDS = 0.03
"""How long before and after a peak the gain is moving."""
_OVERSHOOT = 2.0
"""No waveform between samples is taken to pass this multiple of the largest sample near by."""


class Loudness(AudioStage[LoudnessOptions]):
    """Turns a track up or down as a whole; holds true peaks under the ceiling, all channels alike."""

    name = "loudness"
    fixed: ClassVar[frozenset[str]] = frozenset()

    def analyzer(self) -> AudioAnalyzer:
        """Always: the target is a loudness, not a gain."""
        return LoudnessAnalyzer()

    def window(self, format: AudioFormat) -> AudioWindow:
        """The limiter's reach."""
        reach = (self._look(format) + 2 + -(-PEAK_REACH // _BLOCK)) * _BLOCK
        return AudioWindow(reach, reach)

    def _look(self, format: AudioFormat) -> int:
        """The limiter's reach in blocks."""
        return max(2, round(_LOOK_SECONDS * format.rate / _BLOCK))

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Work out the gain."""
        options, found = self.options, state.values.get("loudness")
        decibels = 0.0 if found is None else min(options.target - float(found), options.most_gain)
        self._gain = 10 ** (options.strength * decibels / 20)
        self._ceiling = 10 ** (options.true_peak / 20)

    def process(self, batch: AudioBatch) -> torch.Tensor:
        """Gain, and where a peak would pass the ceiling, less of it for a moment."""
        samples = batch.samples * self._gain
        core = samples[:, :, batch.core].clone()
        for row in range(len(batch)):  # few chunks have such peaks
            if float(samples[row].abs().amax()) * _OVERSHOOT > self._ceiling:
                core[row] *= self._held(samples[row], self._look(batch.format))[batch.core]
        return core

    def _held(self, samples: torch.Tensor, look: int) -> torch.Tensor:
        """What to multiply (channels, n) samples by, (n,), so that no true peak passes the ceiling."""
        peaks = F.max_pool1d(true_peaks(samples).amax(0)[None, None], _BLOCK, _BLOCK)
        wanted = (self._ceiling / peaks.clamp(min=1e-9)).clamp(max=1.0)
        lowest = -F.max_pool1d(-wanted, 2 * look + 1, 1, look)
        kernel = torch.hann_window(2 * look + 1, periodic=False, device=samples.device)[1:-1]
        padded = F.pad(lowest, (look - 1, look - 1), value=1.0)
        smooth = F.conv1d(padded, (kernel / kernel.sum())[None, None])
        return F.interpolate(smooth, scale_factor=float(_BLOCK), mode="linear", align_corners=False)[0, 0]
