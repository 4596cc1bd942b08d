"""The rendering half of `dehiss`: one mask for each group of channels."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from restore.analysis.noise_floor import BLOCKS
from restore.analysis.spectrum import power_of
from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.dehiss.analysis import NoiseAnalyzer, noise_stft, speech_at
from restore.voice.dehiss.gain import WARM_UP, gains
from restore.voice.dehiss.network import WARM_UP as NETWORK_WARM_UP
from restore.voice.dehiss.network import VoiceNetwork
from restore.voice.dehiss.options import DehissOptions


class Dehiss(AudioStage[DehissOptions]):
    """Turns down what the plan calls noise."""

    name = "dehiss"
    version = 3
    fixed: ClassVar[frozenset[str]] = frozenset({"model"})

    def __init__(self, options: DehissOptions) -> None:
        super().__init__(options)
        self._network: VoiceNetwork | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A worker loads the weights itself.
        return {**self.__dict__, "_network": None}

    @property
    def idle(self) -> bool:
        """Without strength or without an attenuation."""
        return self.options.strength == 0 or self.options.atten_limit == 0

    def analyzer(self) -> AudioAnalyzer:
        """What follows the noise."""
        return NoiseAnalyzer()

    def window(self, format: AudioFormat) -> AudioWindow:
        """Warm-up on both sides, and a frame."""
        stft = noise_stft(format)
        after = stft.samples(WARM_UP) + stft.size
        before = after if self.options.model is None else after + stft.samples(NETWORK_WARM_UP)
        return AudioWindow(before, after)

    def check(self, format: AudioFormat) -> None:
        """The network must be one that exists."""
        self._load()

    def weights(self) -> dict[str, str]:
        """The network, if there is one."""
        network = self._load()
        return {} if network is None else {str(self.options.model): network.digest}

    def _load(self) -> VoiceNetwork | None:
        if self._network is None and self.options.model is not None:
            self._network = VoiceNetwork(self.options.model)
        return self._network

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Take the noise from the plan."""
        self._stft = noise_stft(format)
        noise = torch.from_numpy(state.arrays["noise"]).to(device.torch_device)
        self._speech = torch.from_numpy(state.arrays["speech"]).to(device.torch_device).float() / 100
        self._music = torch.from_numpy(state.arrays["music"]).to(device.torch_device)
        limit = self.options.atten_limit
        found = state.values["atten_limit"] if limit is None else [limit] * len(format.groups)
        self._limits = [self.options.strength * one for one in found]
        self._noise = noise * 10 ** (self.options.sensitivity / 10)
        network = self._load()
        if network is not None:
            network.module.to(device.torch_device)

    def process(self, batch: AudioBatch) -> torch.Tensor:
        """Spectrum times mask."""
        sound = torch.empty_like(batch.samples, memory_format=torch.contiguous_format)
        for row, start in enumerate(batch.starts):  # one by one: what it takes stays nearer to the processor
            sound[row] = self._quieter(batch.samples[row], start - batch.core.start, batch.format)
        if self._network is not None:
            sound = self._network.clean(batch, sound, self._limits)
        return sound[:, :, batch.core].contiguous()

    def _quieter(self, samples: torch.Tensor, first: int, format: AudioFormat) -> torch.Tensor:
        """(channels, samples), of which the first is the track's sample `first`, in the classical way."""
        stft = self._stft
        spectra = stft.forward(samples).transpose(1, 2)
        at = first + torch.arange(spectra.shape[1], device=samples.device)[None] * stft.hop
        speech = speech_at(at, self._speech, format)[..., None]
        for place, group in enumerate(format.groups):
            noise = self._noise_at(at, place, format)
            if not bool(noise.any()):
                continue
            power = torch.stack([power_of(spectra[channel]) for channel in group]).mean(0, keepdim=True)
            limit = self._limit_at(at, place, format)[..., None]
            mask = gains(power, noise, stft, limit, speech)[0]
            for channel in group:
                spectra[channel] *= mask
        return stft.backward(spectra.transpose(1, 2), samples.shape[1])

    def _noise_at(self, at: torch.Tensor, place: int, format: AudioFormat) -> torch.Tensor:
        """(n, frames, bins): the noise of one group at samples (n, frames), led from block to block."""
        noise = self._noise[place]
        if len(noise) == 0:
            return noise.new_zeros(1)
        lower, upper, share = _between(at, format.chunk // BLOCKS, len(noise))
        return torch.lerp(noise[lower], noise[upper], share[..., None])

    def _limit_at(self, at: torch.Tensor, place: int, format: AudioFormat) -> torch.Tensor:
        """(n, frames): how far to go in a group, in dB; less where there is music."""
        if not len(self._music):
            return torch.full(at.shape, self._limits[place], device=at.device)
        lower, upper, share = _between(at, format.chunk // BLOCKS, len(self._music))
        gentle = self.options.music * torch.lerp(self._music[lower], self._music[upper], share)
        return self._limits[place] * (1 - gentle)

    def close(self) -> None:
        """Let go of the network."""
        self._network = None


def _between(at: torch.Tensor, block: int, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which two blocks, measured at their middles, a sample lies between, and how near to the second."""
    steps = (at / block - 0.5).clamp(0, count - 1)
    lower = steps.floor().long().clamp(max=max(0, count - 2))
    return lower, (lower + 1).clamp(max=count - 1), steps - lower
