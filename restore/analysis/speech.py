"""Where somebody speaks, and where there is music."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from restore.analysis.spectrum import ShortTime, smoothed
from restore.errors import WeightsError
from restore.nets.speech import CONTEXT, FRAME, RATE, SpeechNet
from restore.zoo import load_state_dict

_TONES = 700.0, 5000.0
"""Hertz between which lasting tones are counted: a voice's harmonics glide there, an instrument's do not."""
_LASTING = 0.2
"""Seconds a tone must stay in its bin."""
_STANDS_OUT = 6.0
"""Multiple of the power around it that makes a tone."""


class SpeechDetector:
    """Listens to a track chunk by chunk and says how likely each 32 ms hold speech."""

    def __init__(self, rate: int, chunk: int) -> None:
        self._rate = rate
        self.frames = math.ceil(chunk * RATE / rate / FRAME)
        """Answers a chunk."""
        self._net = SpeechNet()
        self._net.load_state_dict(load_state_dict(_weights()))
        self._net.eval().requires_grad_(False)
        self._memory: tuple[Tensor, Tensor] | None = None
        self._before = torch.zeros(CONTEXT)
        self._found: list[Tensor] = []

    def add(self, mono: Tensor) -> None:
        """Hear the next chunk, (samples,)."""
        count = round(len(mono) * RATE / self._rate)
        sound = _resampled(mono, self._rate)[:count]
        padded = torch.cat((self._before, F.pad(sound, (0, self.frames * FRAME - count))))
        with torch.inference_mode():
            said, self._memory = self._net(padded.unfold(0, CONTEXT + FRAME, FRAME), self._memory)
        self._before = padded[-CONTEXT:] if count == self.frames * FRAME else sound[-CONTEXT:]
        if len(self._before) < CONTEXT:
            self._before = F.pad(self._before, (CONTEXT - len(self._before), 0))
        self._found.append(said)

    def finish(self) -> Tensor:
        """(chunks, frames) probabilities."""
        return torch.stack(self._found) if self._found else torch.zeros(0, self.frames)


def _resampled(mono: Tensor, rate: int) -> Tensor:
    """(samples,) at `RATE`, with some silence behind it."""
    common = math.gcd(rate, RATE)
    steps = next_fast_len(-(-len(mono) * common // rate), real=True)
    low = torch.fft.rfft(mono, steps * (rate // common))
    sound: Tensor = torch.fft.irfft(low, steps * (RATE // common)) * (RATE / rate)  # cut off, or filled with zeros
    return sound


def _weights() -> Path:
    """The weights within the package silero-vad, which is not imported: that would change how torch computes."""
    package = find_spec("silero_vad")
    places = list(package.submodule_search_locations or []) if package is not None else []
    path = Path(places[0]) / "data" / "silero_vad_16k.safetensors" if places else None
    if path is None or not path.is_file():
        raise WeightsError("the package silero-vad (6.2 or later) is missing or damaged; pip install silero-vad")
    return path


def lasting_tones(power: Tensor, stft: ShortTime) -> float:
    """Share of the power of (1, bins, frames) that lies in tones that stay: near 0 for speech, more for music."""
    band = (stft.hertz >= _TONES[0]) & (stft.hertz < _TONES[1])
    if power.shape[2] < 2 or not bool(band.any()):
        return 0.0
    heard = power[:, band]
    around = smoothed(heard, 15, 1)
    tone = (heard > _STANDS_OUT / 3 * around).float()
    frames = stft.frames(_LASTING) | 1
    lasts = F.avg_pool1d(tone, frames, 1, frames // 2, count_include_pad=False) > 0.9
    loud = heard * (heard > 1e-10 * stft.size)
    return float((loud * lasts).sum() / loud.sum().clamp(min=1e-20))
