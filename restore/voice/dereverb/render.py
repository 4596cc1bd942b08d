"""The rendering half of `dereverb`: what the plan's filters foresee is subtracted, what is left of it turned down."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.dereverb.analysis import NODE, RoomAnalyzer
from restore.voice.dereverb.options import DereverbOptions
from restore.voice.dereverb.prediction import Room, late

_BLUR = 5
"""Frames over which the power that decays is averaged."""


class Dereverb(AudioStage[DereverbOptions]):
    """Each channel by its own filters."""

    name = "dereverb"
    version = 2
    fixed: ClassVar[frozenset[str]] = frozenset({"reach"})

    def analyzer(self) -> AudioAnalyzer:
        """What learns the room."""
        return RoomAnalyzer(self.options)

    def window(self, format: AudioFormat) -> AudioWindow:
        """The past that reverberation is predicted from, and a frame."""
        room = Room(format, self.options.reach)
        hop, size = room.stft.hop, room.stft.size
        return AudioWindow((room.context + _BLUR) * hop + 2 * size, 2 * size)

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Take the filters from the plan."""
        self._room = Room(format, self.options.reach)
        self._filters = torch.from_numpy(state.arrays["filters"]).to(device.torch_device)
        self._channels = [channel for channel in range(format.channels) if channel != format.low_channel]

    def process(self, batch: AudioBatch) -> Tensor:
        """Row by row: a spectrum with its past is large."""
        result = batch.samples[:, :, batch.core].clone()
        if not len(self._filters):
            return result
        for row, start in enumerate(batch.starts):
            samples = batch.samples[row]
            if not bool(samples.any()):
                continue
            for place, channel in enumerate(self._channels):
                dry = self._dry(samples[channel], place, start - batch.core.start, batch.format)
                result[row, channel] = dry[batch.core]
        return result

    def _dry(self, sound: Tensor, place: int, first: int, format: AudioFormat) -> Tensor:
        """One channel of a row whose first sample is the track's `first`."""
        room, options = self._room, self.options
        spectra = room.stft.forward(sound[None])[0]
        wet = spectra.abs().square()
        past = room.before(spectra[: room.bins])
        at = first + torch.arange(room.context, spectra.shape[1], device=sound.device) * room.stft.hop
        node = ((at / format.chunk - NODE / 2) / NODE).clamp(0, len(self._filters) - 1)
        for number in range(int(node.min()), int(node.max().ceil()) + 1):
            share = (1 - (node - number).abs()).clamp(min=0)
            filters = torch.view_as_complex(self._filters[number, place].float().contiguous())
            used = torch.nonzero(share)[:, 0]
            if len(used):
                frames = slice(int(used[0]), int(used[-1]) + 1)
                foreseen = late(past[:, frames], filters) * share[frames]
                spectra[: room.bins, room.context :][:, frames] -= options.strength * foreseen
        return room.stft.backward((spectra * self._gain(wet, spectra))[None], len(sound))[0]

    def _gain(self, wet: Tensor, spectra: Tensor) -> Tensor:
        """(bins, frames): spectral subtraction of the wash, which decays with the room.

        Lebart, Boucher and Denbigh, A new method based on spectral subtraction for speech dereverberation (Acta
        Acustica 87, 2001): late reverberation has the power of what was heard before, less the decay since.
        """
        room, options = self._room, self.options
        floor = 10 ** (-options.strength * options.atten_limit / 20)
        if floor == 1:
            return torch.ones_like(wet)
        delay = room.delay + _BLUR // 2
        decay = 10 ** (-6 * delay * room.stft.hop / room.stft.rate / options.decay)
        power = torch.nn.functional.avg_pool1d(wet[None], _BLUR, 1, _BLUR // 2, count_include_pad=False)[0]
        wash = torch.nn.functional.pad(power, (delay, 0))[:, : wet.shape[1]] * decay
        gain = (1 - wash / spectra.abs().square().clamp(min=1e-12)).clamp(min=floor)
        return torch.nn.functional.avg_pool1d(gain[None], 3, 1, 1, count_include_pad=False)[0]
