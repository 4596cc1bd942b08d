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
from restore.voice.declick.detect import Search, clicked, cornered, genuine, joined, tightened
from restore.voice.declick.options import DeclickOptions

_PASSES = 4
"""Each has a model that the clicks found so far no longer bend."""
_AT_ONCE = 128
"""Frames worked on together: what they take stays within a processor's cache."""
_BLOCKS = 32
"""Parts of a core that are glanced at for corners."""
_TRIED, _FILLED = 1, 2
"""How often what was filled in gives a better model, and that a better filling: while looking, and in the end."""
_LOUDER = 1.5
"""How many times as loud as what is near a filling may be."""
_LONGER = 2
"""How many times as far the last model looks back: too far to find clicks by, but it knows better what was there."""


class Declick(AudioStage[DeclickOptions]):
    """Finds clicks from the samples around them and fills them in; nothing to analyse beforehand."""

    name = "declick"
    version = 3
    fixed: ClassVar[frozenset[str]] = frozenset()

    def window(self, format: AudioFormat) -> AudioWindow:
        """Half a frame on either side."""
        core = frame_core(format.rate)
        return AudioWindow(core // 2, core // 2)

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Nothing to load."""

    def process(self, batch: AudioBatch) -> Tensor:
        """The repaired sound; samples outside clicks are the input's."""
        rate = batch.format.rate
        core = frame_core(rate)
        samples = batch.samples[:, :, batch.core.start - core // 2 : batch.core.stop + core // 2].flatten(0, 1)
        before = batch.samples[:, :, batch.core]
        result = before.clone(memory_format=torch.contiguous_format)
        middles = result.view(len(samples), -1, core)
        search = self._search(2 * core, rate)
        frames = samples.unfold(1, 2 * core, core)
        block = core // _BLOCKS
        corners = cornered(samples, block, search).unfold(1, 2 * _BLOCKS, _BLOCKS)
        reach = _BLOCKS // 2 - -(-search.longest // block)  # a click may begin outside the middle of its frame
        glanced = torch.nonzero(corners[..., reach:-reach].any(2))
        if not len(glanced):
            return result
        looked = [_looked(frames[tuple(some.T)], search) for some in _parts(glanced)]
        models, marks = (torch.cat(each) for each in zip(*looked, strict=True))
        marked = marks.view(len(marks), -1, block).any(2) & corners[tuple(glanced.T)]
        for some in _parts(torch.nonzero(marked[:, reach:-reach].any(1))[:, 0]):
            at = tuple(glanced[some].T)
            repaired = _repaired(frames[at], models[some], marks[some], search)
            middles[at] = repaired[:, core // 2 : core // 2 + core]
        return result if self.options.strength == 1 else before + self.options.strength * (result - before)

    def _search(self, size: int, rate: int) -> Search:
        """What is looked for in frames of `size` samples."""
        order = min(64, max(32, rate // 1000))
        longest = max(2, round(self.options.longest * rate / 1000))
        return Search(rate, order, slice(order, size - order), longest, self.options.sensitivity)


def _parts(rows: Tensor) -> list[Tensor]:
    return [rows[first : first + _AT_ONCE] for first in range(0, len(rows), _AT_ONCE)]


def _looked(frames: Tensor, search: Search) -> tuple[Tensor, Tensor]:
    """The models of (n, samples) frames, and which samples may be clicked by these."""
    known = frames.double()
    model = coefficients(known, search.order)
    return model, clicked(known, torch.fft.rfft(known), model, search)


def _repaired(frames: Tensor, model: Tensor, new: Tensor, search: Search) -> Tensor:
    """(n, samples) frames with their middle halves free of clicks; `model` and `new` as `_looked` gave them."""
    known = frames.double()
    spectra = torch.fft.rfft(known)
    marked = torch.zeros(frames.shape, dtype=torch.bool, device=frames.device)
    repaired, active = known.clone(), torch.arange(len(frames), device=frames.device)
    for _ in range(_PASSES):
        before = marked[active]
        tried = joined(before, new, search)
        fresh = (tried & ~before).any(1)  # elsewhere nothing more would be found
        active, tried, before, model = active[fresh], tried[fresh], before[fresh], model[fresh]
        if not len(active):
            break
        heard = known[active]
        made = _filled(heard, tried, model, _TRIED)
        found = genuine(heard, spectra[active], made, tried, coefficients(made, search.order), search)
        better = (found & ~before).any(1)  # where nothing is sure to be a click, the next pass would find the same
        active = active[better]
        if not len(active):
            break
        marked[active] = found[better]
        made = repaired[active] = torch.where(found, made, heard)[better]
        model = coefficients(made, search.order)
        new = clicked(made, torch.fft.rfft(made), model, search)
    middle = slice(frames.shape[1] // 4, -frames.shape[1] // 4)
    some = torch.nonzero(marked[:, middle].any(1))[:, 0]
    if len(some):
        heard, made = known[some], repaired[some]
        tight = tightened(spectra[some], marked[some], coefficients(made, search.order), search)
        made = _filled(heard, tight, coefficients(made, _LONGER * search.order), _FILLED)
        marked[some] = genuine(heard, spectra[some], made, tight, coefficients(made, search.order), search)
        repaired[some] = made
    return torch.where(marked, repaired.float(), frames)


def _filled(known: Tensor, marked: Tensor, model: Tensor, times: int) -> Tensor:
    """Frames with the marked samples made anew, by `model`, and then by that of what it made, so many times in all.

    Hardly louder than what is near: a model made of a wrong filling would have the next one wrong by more.
    """
    reach = known.shape[1] // 8
    heard = torch.nn.functional.pad(torch.where(marked, 0.0, known.abs()), (reach, reach))
    bound = _LOUDER * running_max(heard, 2 * reach + 1)
    repaired = known
    for turn in range(times):
        if turn > 0:
            model = coefficients(repaired, model.shape[1] - 1)
        filled = filled_in(known, marked, model)
        repaired = torch.where(marked, torch.minimum(torch.maximum(filled, -bound), bound), known)
    return repaired


def frame_core(rate: int) -> int:
    """Samples a frame is responsible for, about 20 ms; it looks at half as many again on either side."""
    return 1 << max(5, round(rate * 0.0235).bit_length() - 1)
