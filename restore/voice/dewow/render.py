"""The rendering half of `dewow`: the sound read at the places that the plan's course says."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from restore.damage.sound_speed import read_at
from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.dewow.analysis import KNOT, MOST_SECONDS, WowAnalyzer
from restore.voice.dewow.options import DewowOptions
from restore.voice.dewow.tones import hop_of

_TAPS = 32
_ROUNDS = 4
"""How often the place is found from the course at the place; each time 30 times as exact."""


class Dewow(AudioStage[DewowOptions]):
    """Reads the track at a wavering speed."""

    name = "dewow"
    fixed: ClassVar[frozenset[str]] = frozenset({"most", "fastest"})

    def analyzer(self) -> AudioAnalyzer:
        """What follows the tones."""
        return WowAnalyzer(self.options)

    def window(self, format: AudioFormat) -> AudioWindow:
        """As far as a sample may be moved."""
        reach = round(MOST_SECONDS * format.rate) + _TAPS
        return AudioWindow(reach, reach)

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Take the course from the plan."""
        self._course = torch.from_numpy(state.arrays["course"]).to(device.torch_device).double() * format.rate
        self._knot = KNOT * hop_of(format.rate)

    def process(self, batch: AudioBatch) -> Tensor:
        """All channels alike."""
        result = batch.samples[:, :, batch.core].clone()
        if not len(self._course):
            return result
        for row, start in enumerate(batch.starts):
            at = torch.arange(start, start + batch.format.chunk, dtype=torch.float64, device=result.device)
            place = at
            for _ in range(_ROUNDS):
                place = at - self.options.strength * self._late(place)
            if not bool((place != at).any()):
                continue
            result[row] = read_at(batch.samples[row], place - (start - batch.core.start))
        return result

    def _late(self, at: Tensor) -> Tensor:
        """The course at samples `at`, in samples: cubic between its values (Catmull-Rom), 0 beyond its ends."""
        course = torch.nn.functional.pad(self._course, (2, 3))
        step = (at / self._knot).clamp(-1, len(self._course))
        lower = step.floor()
        x, place = step - lower, lower.long() + 2
        before, first, second, after = (course[place + offset] for offset in (-1, 0, 1, 2))
        bend = 2 * before - 5 * first + 4 * second - after + x * (3 * (first - second) + after - before)
        return first + 0.5 * x * (second - before + x * bend)
