"""The rendering half of `declip`: chunks that were cut, with their peaks made anew."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.declip.analysis import TOLERANCE, ClippingAnalyzer
from restore.voice.declip.options import DeclipOptions
from restore.voice.declip.rebuild import REACH, frame_size, rebuild


class Declip(AudioStage[DeclipOptions]):
    """Rebuilds what the plan says was cut."""

    name = "declip"
    version = 3
    fixed: ClassVar[frozenset[str]] = frozenset({"ceiling"})

    def analyzer(self) -> AudioAnalyzer | None:
        """What finds the ceilings, unless they are given."""
        return ClippingAnalyzer() if self.options.ceiling is None else None

    def window(self, format: AudioFormat) -> AudioWindow:
        """What rebuilding depends on."""
        reach = REACH * frame_size(format.rate)
        return AudioWindow(reach, reach)

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Take the ceilings from the plan, or from the options."""
        self._ceilings = None
        if self.options.ceiling is None:
            self._ceilings = torch.from_numpy(state.arrays["ceilings"]).to(device.torch_device)

    def process(self, batch: AudioBatch) -> Tensor:
        """The sound with its peaks; samples below the ceiling are the input's."""
        before = batch.samples[:, :, batch.core]
        if not self._may_be_cut(batch):
            return before.clone()
        cut = self._cut(batch)
        rows = torch.nonzero(cut[:, :, batch.core].any(2))
        if not len(rows):
            return before.clone()
        after = before.clone()
        reach = REACH * frame_size(batch.format.rate)
        near = slice(batch.core.start - reach, batch.core.stop + reach)
        for row, channel in rows.tolist():  # one by one: overlapping frames take twice the memory
            sound, unknown = batch.samples[row, channel, near][None], cut[row, channel, near][None]
            after[row, channel] = rebuild(sound, unknown, batch.format.rate)[0, reach:-reach]
        return before + self.options.strength * (after - before)

    def _may_be_cut(self, batch: AudioBatch) -> bool:
        """Whether any of the chunks, or their neighbours, has a ceiling."""
        if self._ceilings is None:
            return True
        first, last = (start // batch.format.chunk for start in (min(batch.starts), max(batch.starts)))
        return bool((self._ceilings[max(0, first - 1) : last + 2] > 0).any())

    def _cut(self, batch: AudioBatch) -> Tensor:
        """(batch, channels, samples) bool: what was cut, by the ceilings of the chunk each sample is in."""
        if self._ceilings is None:
            least = 10 ** ((self.options.ceiling or 0.0) / 20) * (1 - TOLERANCE)
            return batch.samples.abs() >= least
        if not len(self._ceilings):
            return torch.zeros_like(batch.samples, dtype=torch.bool)
        first = torch.tensor(batch.starts, device=batch.samples.device) - batch.core.start
        at = first[:, None] + torch.arange(batch.samples.shape[2], device=batch.samples.device)
        chunk = (at // batch.format.chunk).clamp(0, len(self._ceilings) - 1)
        limits = self._ceilings[chunk].permute(0, 2, 3, 1) * (1 - TOLERANCE)
        above, below = limits[:, :, 0], limits[:, :, 1]
        return ((above > 0) & (batch.samples >= above)) | ((below > 0) & (-batch.samples >= below))
