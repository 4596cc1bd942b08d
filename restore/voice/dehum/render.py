"""The rendering half of `dehum`: the hum that the plan describes, made again and subtracted."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from restore.analysis.running import running_max
from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.dehum.analysis import MARGIN, NODES, HumAnalyzer, frame_sizes
from restore.voice.dehum.options import DehumOptions

_SILENCE_SECONDS = 0.02
"""Zeros that last as long are digital silence."""
_PIECE = 8192
"""Samples made at a time: what they take stays within a processor's cache."""


def _silence(format: AudioFormat) -> int:
    """Samples of zeros that are digital silence."""
    return max(2, round(_SILENCE_SECONDS * format.rate))


class Dehum(AudioStage[DehumOptions]):
    """Subtracts a tone, but not from digital silence: there it would be the only sound."""

    name = "dehum"
    version = 3
    fixed: ClassVar[frozenset[str]] = frozenset({"frequency", "harmonics"})

    def analyzer(self) -> AudioAnalyzer:
        """What finds the hum."""
        return HumAnalyzer(self.options)

    def window(self, format: AudioFormat) -> AudioWindow:
        """What tells silence from a zero crossing."""
        reach = _silence(format)
        return AudioWindow(reach, reach)

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Take the hum from the plan."""
        self._hertz = state.values.get("hum_hertz")
        if self._hertz is not None:
            self._phase = torch.from_numpy(state.arrays["phase"]).to(device.torch_device).double()
            self._lines = torch.from_numpy(state.arrays["lines"]).to(device.torch_device)

    def process(self, batch: AudioBatch) -> Tensor:
        """The sound without the hum."""
        sound = batch.samples[:, :, batch.core].clone()
        if self._hertz is None:
            return sound
        reach = _silence(batch.format)
        near = batch.samples[:, :, batch.core.start - reach : batch.core.stop + reach]
        # (..., n): whether there is nothing in the `reach` samples from n on; then whether n is one of such.
        empty = 1 - running_max((near != 0).to(torch.uint8), reach)
        silent = running_max(empty, reach)[..., 1:-1] > 0
        for place, start in enumerate(batch.starts):
            number = start // batch.format.chunk
            if number < len(self._lines):
                hum = self._hum(number, batch.format).masked_fill_(silent[place], 0.0)
                sound[place] -= self.options.strength * hum
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
        lines, phase = self._lines[number], self._phase[number] / (2 * math.pi)
        used = torch.nonzero(lines.abs().amax((0, 1)) > 0)[:, 0]
        result = torch.zeros(format.channels, stop - first, device=lines.device)
        sizes = lines[:, :, used]
        mixing = torch.cat((sizes.real, -sizes.imag), 2).flatten(0, 1)
        nodes = torch.arange(NODES, device=lines.device)[:, None]
        for begin in range(first, stop if len(used) else first, _PIECE):
            at = torch.arange(begin, min(begin + _PIECE, stop), dtype=torch.float64, device=lines.device)
            place = at / hop + MARGIN
            lower = place.floor().long().clamp(0, len(phase) - 2)
            ahead = torch.lerp(phase[lower], phase[lower + 1], place - lower)
            cycles = torch.frac((number * format.chunk + at) * (float(self._hertz or 0) / format.rate) + ahead)
            angle = 2 * math.pi * (used[:, None] + 1) * cycles.float()
            tones = mixing @ torch.cat((angle.cos(), angle.sin()))
            near = (1 - ((at / format.chunk).clamp(0, 1) * (NODES - 1) - nodes).abs()).clamp(min=0).float()
            span = slice(begin - first, begin - first + len(at))
            result[:, span] = (tones.view(NODES, format.channels, -1) * near[:, None]).sum(0)
        return result
