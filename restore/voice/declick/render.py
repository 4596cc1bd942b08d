"""The rendering half of `declick`: frame by frame, and again until nothing is found."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from restore.analysis.autoregression import coefficients, filled_in, unforeseen
from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.declick.detect import clicked
from restore.voice.declick.options import DeclickOptions

_PASSES = 4
"""Each has a model that the clicks found so far no longer bend."""
_REFINED = 2
"""How often what was filled in gives a better model, and that a better filling."""


class Declick(AudioStage[DeclickOptions]):
    """Finds clicks from the samples around them and fills them in; nothing to analyse beforehand."""

    name = "declick"
    fixed: ClassVar[frozenset[str]] = frozenset()

    def window(self, format: AudioFormat) -> AudioWindow:
        """Half a frame on either side."""
        core = frame_core(format.rate)
        return AudioWindow(core // 2, core // 2)

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Nothing to load."""

    def process(self, batch: AudioBatch) -> Tensor:
        """The repaired sound; samples outside clicks are the input's."""
        core = frame_core(batch.format.rate)
        samples = batch.samples[:, :, batch.core.start - core // 2 : batch.core.stop + core // 2]
        frames = samples.unfold(2, 2 * core, core)
        shape = frames.shape
        sound = frames.reshape(-1, 2 * core)
        loud = torch.nonzero(sound.abs().amax(1) > 0)[:, 0]
        repaired = sound.clone()
        if len(loud):
            repaired[loud], _ = self.repair(sound[loud], batch.format.rate)
        middle = repaired.reshape(shape)[..., core // 2 : core // 2 + core].flatten(2)
        before = batch.samples[:, :, batch.core]
        return before + self.options.strength * (middle - before)

    def repair(self, frames: Tensor, rate: int) -> tuple[Tensor, Tensor]:
        """(n, samples) frames without clicks, and which samples were made anew."""
        order = min(64, max(32, rate // 1000))
        core = slice(order, frames.shape[1] - order)
        longest = max(2, round(self.options.longest * rate / 1000))
        known = frames.double()
        repaired, marked = known, torch.zeros(frames.shape, dtype=torch.bool, device=frames.device)
        active = torch.arange(len(frames), device=frames.device)
        for _ in range(_PASSES):
            model = coefficients(repaired[active], order)
            errors = unforeseen(repaired[active], model)
            new = clicked(*errors, core, rate, self.options.sensitivity, longest)
            hit = new.any(1)
            if not bool(hit.any()):
                break
            active = active[hit]
            marked = marked.index_put((active,), marked[active] | new[hit])
            for _ in range(_REFINED):
                filled = filled_in(known[active], marked[active], coefficients(repaired[active], order))
                repaired = repaired.index_put((active,), filled)
        return torch.where(marked, repaired.float(), frames), marked


def frame_core(rate: int) -> int:
    """Samples a frame is responsible for, about 20 ms; it looks at half as many again on either side."""
    return 1 << max(5, round(rate * 0.0235).bit_length() - 1)
