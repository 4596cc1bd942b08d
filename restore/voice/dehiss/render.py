"""The rendering half of `dehiss`: one mask for each group of channels."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from restore.analysis.noise_floor import BLOCKS
from restore.frames import AudioBatch, AudioFormat
from restore.nets.speech import FRAME, RATE
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.voice.dehiss.analysis import NoiseAnalyzer, noise_stft
from restore.voice.dehiss.gain import WARM_UP, gains
from restore.voice.dehiss.network import WARM_UP as NETWORK_WARM_UP
from restore.voice.dehiss.network import VoiceNetwork
from restore.voice.dehiss.options import DehissOptions


class Dehiss(AudioStage[DehissOptions]):
    """Turns down what the plan calls noise."""

    name = "dehiss"
    version = 2
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
        self._noise = noise * 10 ** (self.options.sensitivity / 10)
        network = self._load()
        if network is not None:
            network.module.to(device.torch_device)

    def process(self, batch: AudioBatch) -> torch.Tensor:
        """Spectrum times mask."""
        stft, options = self._stft, self.options
        count, channels, samples = batch.samples.shape
        spectra = stft.forward(batch.samples.reshape(-1, samples))
        spectra = spectra.reshape(count, channels, *spectra.shape[1:])
        power = torch.view_as_real(spectra).square().sum(-1)
        at = torch.arange(spectra.shape[3], device=power.device) * stft.hop - batch.core.start
        at = torch.tensor(batch.starts, device=power.device)[:, None] + at
        speech, limit = self._speech_at(at, batch.format)[:, None], self._limit_at(at, batch.format)[:, None]
        for place, group in enumerate(batch.format.groups):
            noise = self._noise_at(at, place, batch.format)
            if not bool(noise.any()):
                continue
            mask = gains(power[:, list(group)].mean(1), noise, stft, limit, speech)
            for channel in group:
                spectra[:, channel] *= mask
        sound = stft.backward(spectra.flatten(0, 1), samples).reshape(count, channels, samples)
        if self._network is not None:
            sound = self._network.clean(batch, sound, options.strength * options.atten_limit)
        return sound[:, :, batch.core].contiguous()

    def _noise_at(self, at: torch.Tensor, place: int, format: AudioFormat) -> torch.Tensor:
        """(batch, bins, frames): the noise of one group at samples (batch, frames), led from block to block."""
        noise = self._noise[place]
        if len(noise) == 0:
            return noise.new_zeros(1)
        lower, upper, share = _between(at, format.chunk // BLOCKS, len(noise))
        return torch.lerp(noise[lower], noise[upper], share[..., None]).transpose(1, 2)

    def _limit_at(self, at: torch.Tensor, format: AudioFormat) -> torch.Tensor:
        """(batch, frames): how far to go, in dB; less where there is music."""
        whole = self.options.strength * self.options.atten_limit
        if not len(self._music):
            return torch.full(at.shape, whole, device=at.device)
        lower, upper, share = _between(at, format.chunk // BLOCKS, len(self._music))
        return whole * (1 - self.options.music * torch.lerp(self._music[lower], self._music[upper], share))

    def _speech_at(self, at: torch.Tensor, format: AudioFormat) -> torch.Tensor:
        """(batch, frames): how likely somebody speaks."""
        if not len(self._speech):
            return torch.zeros(at.shape, device=at.device)
        chunk = (at // format.chunk).clamp(0, len(self._speech) - 1)
        frame = ((at - chunk * format.chunk) * RATE // (format.rate * FRAME)).clamp(0, self._speech.shape[1] - 1)
        return self._speech[chunk, frame]

    def close(self) -> None:
        """Let go of the network."""
        self._network = None


def _between(at: torch.Tensor, block: int, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which two blocks, measured at their middles, a sample lies between, and how near to the second."""
    steps = (at / block - 0.5).clamp(0, count - 1)
    lower = steps.floor().long().clamp(max=max(0, count - 2))
    return lower, (lower + 1).clamp(max=count - 1), steps - lower
