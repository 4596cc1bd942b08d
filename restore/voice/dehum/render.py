"""The rendering half of `dehum`: the hum that the plan describes, made again and subtracted."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, State
from restore.pipeline.contract import Device
from restore.voice.dehum.analysis import MARGIN, NODES, HumAnalyzer, frame_sizes
from restore.voice.dehum.options import DehumOptions


class Dehum(AudioStage[DehumOptions]):
    """Subtracts a tone; needs no context."""

    name = "dehum"
    version = 2
    fixed: ClassVar[frozenset[str]] = frozenset({"frequency", "harmonics"})

    def analyzer(self) -> AudioAnalyzer:
        """What finds the hum."""
        return HumAnalyzer(self.options)

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Take the hum from the plan."""
        self._hertz = state.values.get("hum_hertz")
        if self._hertz is not None:
            self._phase = torch.from_numpy(state.arrays["phase"]).to(device.torch_device)
            self._lines = torch.from_numpy(state.arrays["lines"]).to(device.torch_device)

    def process(self, batch: AudioBatch) -> Tensor:
        """The sound without the hum."""
        sound = batch.samples[:, :, batch.core].clone()
        if self._hertz is None:
            return sound
        for place, start in enumerate(batch.starts):
            number = start // batch.format.chunk
            if number < len(self._lines):
                sound[place] -= self.options.strength * self._hum(number, batch.format)
        return sound

    def _hum(self, number: int, format: AudioFormat) -> Tensor:
        """(channels, chunk): one chunk's hum, faded into its neighbours' at both ends."""
        size, (_, hop) = format.chunk, frame_sizes(format.rate)
        hum = self._tone(number, 0, size, format)
        rise = torch.linspace(0, 0.5, hop, device=hum.device)
        if number > 0:
            other = self._tone(number - 1, size, size + hop, format)
            hum[:, :hop] += (other - hum[:, :hop]) * (0.5 - rise)
        if number + 1 < len(self._lines):
            other = self._tone(number + 1, -hop, 0, format)
            hum[:, -hop:] += (other - hum[:, -hop:]) * rise
        return hum

    def _tone(self, number: int, first: int, stop: int, format: AudioFormat) -> Tensor:
        """(channels, stop - first): what chunk `number` knows of the hum at samples counted from its own beginning."""
        _, hop = frame_sizes(format.rate)
        lines, phase = self._lines[number], self._phase[number]
        used = torch.nonzero(lines.abs().amax((0, 1)) > 0)[:, 0]
        at = torch.arange(first, stop, device=lines.device)
        if not len(used):
            return torch.zeros(format.channels, len(at), device=lines.device)
        place = at / hop + MARGIN
        lower = place.floor().long().clamp(0, len(phase) - 2)
        ahead = torch.lerp(phase[lower], phase[lower + 1], place - lower).double()
        begin = number * format.chunk
        cycles = torch.frac((begin + at).double() * (float(self._hertz or 0) / format.rate))
        angle = 2 * math.pi * cycles + ahead
        step = torch.complex(angle.cos().float(), angle.sin().float())
        node = (at / format.chunk).clamp(0, 1) * (NODES - 1)
        left = node.floor().long().clamp(max=NODES - 2)
        share = (node - left)[:, None]
        result = torch.zeros(format.channels, len(at), device=lines.device)
        turning, done = step, 0
        for index in used.tolist():
            while done < index:
                turning = turning * step
                done += 1
            sizes = lines[:, :, index]
            amplitude = sizes[left] + (sizes[left + 1] - sizes[left]) * share
            result += (amplitude * turning[:, None]).real.T
        return result
