"""The rendering half of `declip`: cut samples as the autoregressive model of their surroundings has them.

Janssen, Veldhuis and Vries (IEEE Trans. ASSP 34, 1986), kept consistent with what clipping says: a cut sample was not
lower than the ceiling. Where the model says so all the same, the ceiling is taken to be the truth, and the rest solved
again.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from restore.analysis.autoregression import coefficients, filled_in
from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.declip.analysis import TOLERANCE, ClippingAnalyzer
from restore.voice.declip.options import DeclipOptions

_ROUNDS = 4
"""How often the model is made from what it filled in."""
_MOST = 0.6
"""Share of a frame beyond which too little is left to rebuild the rest from: it stays cut."""
_HIGHEST = 4.0
"""No rebuilt peak is more than 12 dB over the ceiling."""


class Declip(AudioStage[DeclipOptions]):
    """Rebuilds what the plan says was cut."""

    name = "declip"
    fixed: ClassVar[frozenset[str]] = frozenset({"ceiling"})

    def analyzer(self) -> AudioAnalyzer | None:
        """What finds the ceilings, unless they are given."""
        return ClippingAnalyzer() if self.options.ceiling is None else None

    def window(self, format: AudioFormat) -> AudioWindow:
        """Half a frame on either side."""
        return AudioWindow(_core(format.rate) // 2, _core(format.rate) // 2)

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Take the ceilings from the plan, or from the options."""
        self._ceilings = None
        if self.options.ceiling is None:
            self._ceilings = torch.from_numpy(state.arrays["ceilings"]).to(device.torch_device)

    def process(self, batch: AudioBatch) -> Tensor:
        """The sound with its peaks; samples below the ceiling are the input's."""
        core = _core(batch.format.rate)
        samples = batch.samples[:, :, batch.core.start - core // 2 : batch.core.stop + core // 2]
        cut = self._cut(batch)[:, :, batch.core.start - core // 2 : batch.core.stop + core // 2]
        before = batch.samples[:, :, batch.core]
        if not bool(cut.any()):
            return before.clone()
        frames, unknown = samples.unfold(2, 2 * core, core), cut.unfold(2, 2 * core, core)
        shape = frames.shape
        sound, unknown = frames.reshape(-1, 2 * core), unknown.reshape(-1, 2 * core)
        some = unknown[:, core // 2 : core // 2 + core].any(1)
        hit = torch.nonzero(some & (unknown.float().mean(1) <= _MOST))[:, 0]
        rebuilt = sound.clone()
        rebuilt[hit] = rebuild(sound[hit], unknown[hit], batch.format.rate)
        middle = rebuilt.reshape(shape)[..., core // 2 : core // 2 + core].flatten(2)
        return before + self.options.strength * (middle - before)

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


def rebuild(frames: Tensor, unknown: Tensor, rate: int) -> Tensor:
    """Frames with cut samples made anew, none nearer to zero than it was; (n, samples), `unknown` likewise bool."""
    order = min(64, max(32, rate // 1000))
    known = frames.double()
    sound = known
    for _ in range(_ROUNDS):
        model = coefficients(sound, order)
        filled = filled_in(known, unknown, model)
        lower = unknown & (filled * known.sign() < known.abs())
        if bool(lower.any()):
            filled = filled_in(known, unknown & ~lower, model)
        higher = torch.maximum(filled * known.sign(), known.abs()).clamp(max=_HIGHEST * known.abs().amax(1, True))
        sound = torch.where(unknown, higher * known.sign(), known)
    return torch.where(unknown, sound.float(), frames)


def _core(rate: int) -> int:
    """Samples a frame is responsible for."""
    return 1 << max(5, round(rate * 0.0235).bit_length() - 1)
