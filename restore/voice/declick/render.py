"""The rendering half of `declick`: frame by frame, and again until nothing is found."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from restore.analysis.autoregression import coefficients, filled_in
from restore.analysis.running import running_max
from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.declick.detect import Search, clicked, genuine, joined, tightened
from restore.voice.declick.options import DeclickOptions

_PASSES = 4
"""Each has a model that the clicks found so far no longer bend."""
_AT_ONCE = 256
"""Frames worked on together: what they take stays within a processor's cache."""
_TRIED, _FILLED = 2, 3
"""How often what was filled in gives a better model, and that a better filling: while looking, and in the end."""
_LOUDER = 1.5
"""How many times as loud as what is near a filling may be."""
_LONGER = 2
"""How many times as far the last model looks back: too far to find clicks by, but it knows better what was there."""


class Declick(AudioStage[DeclickOptions]):
    """Finds clicks from the samples around them and fills them in; nothing to analyse beforehand."""

    name = "declick"
    version = 2
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
        repaired = sound.clone()
        loud = torch.nonzero(sound.abs().amax(1) > 0)[:, 0]
        suspects = [some[self.suspect(sound[some], batch.format.rate)] for some in _parts(loud)]
        for some in _parts(torch.cat(suspects) if suspects else loud):
            repaired[some], _ = self.repair(sound[some], batch.format.rate)
        middle = repaired.reshape(shape)[..., core // 2 : core // 2 + core].flatten(2)
        before = batch.samples[:, :, batch.core]
        return before + self.options.strength * (middle - before)

    def suspect(self, frames: Tensor, rate: int) -> Tensor:
        """(n,) bool: which of (n, samples) frames may hold a click."""
        known, search = frames.double(), self._search(frames, rate)
        return clicked(known, coefficients(known, search.order), search).any(1)

    def repair(self, frames: Tensor, rate: int) -> tuple[Tensor, Tensor]:
        """(n, samples) frames without clicks, and which samples were made anew."""
        search = self._search(frames, rate)
        known = frames.double()
        repaired, marked = known.clone(), torch.zeros(frames.shape, dtype=torch.bool, device=frames.device)
        active = torch.arange(len(frames), device=frames.device)
        for _ in range(_PASSES):
            new = clicked(repaired[active], coefficients(repaired[active], search.order), search)
            heard, before = known[active], marked[active]
            tried = joined(before, new, search)
            made = _filled(heard, repaired[active], tried, search.order, _TRIED)
            found = genuine(heard, made, tried, coefficients(made, search.order), search)
            better = (found & ~before).any(1)  # where nothing is sure to be a click, the next pass would find the same
            active = active[better]
            if not len(active):
                break
            marked[active] = found[better]
            repaired[active] = torch.where(found, made, heard)[better]
        some = torch.nonzero(marked.any(1))[:, 0]
        if len(some):
            heard, made = known[some], repaired[some]
            tight = tightened(heard, marked[some], coefficients(made, search.order), search)
            made = _filled(heard, made, tight, _LONGER * search.order, _FILLED)
            marked[some] = genuine(heard, made, tight, coefficients(made, search.order), search)
            repaired[some] = made
        return torch.where(marked, repaired.float(), frames), marked

    def _search(self, frames: Tensor, rate: int) -> Search:
        order = min(64, max(32, rate // 1000))
        longest = max(2, round(self.options.longest * rate / 1000))
        return Search(rate, order, slice(order, frames.shape[1] - order), longest, self.options.sensitivity)


def _parts(rows: Tensor) -> list[Tensor]:
    return [rows[first : first + _AT_ONCE] for first in range(0, len(rows), _AT_ONCE)]


def _filled(known: Tensor, repaired: Tensor, marked: Tensor, order: int, times: int) -> Tensor:
    """Frames with the marked samples made anew; `repaired` is what the first model is made of.

    Hardly louder than what is near: a model made of a wrong filling would have the next one wrong by more.
    """
    reach = known.shape[1] // 8
    heard = torch.nn.functional.pad(torch.where(marked, 0.0, known.abs()), (reach, reach))
    bound = _LOUDER * running_max(heard, 2 * reach + 1)
    for _ in range(times):
        filled = filled_in(known, marked, coefficients(repaired, order))
        repaired = torch.where(marked, torch.minimum(torch.maximum(filled, -bound), bound), known)
    return repaired


def frame_core(rate: int) -> int:
    """Samples a frame is responsible for, about 20 ms; it looks at half as many again on either side."""
    return 1 << max(5, round(rate * 0.0235).bit_length() - 1)
