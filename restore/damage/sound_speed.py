"""Wow and flutter: sound whose speed wavers, and reading sound at any speed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

_REACH = 16
"""Samples on either side that a value between samples is made of."""
_KAISER = 8.0
_PHASES = 512
"""Places between two samples for which the taps are kept; between these they are led linearly, to -115 dB."""
_BLOCK = 1 << 13
"""Places at once: what they need stays in the processor's cache."""


@cache
def _taps() -> Tensor:
    """(phases + 2, 32) float64: a sinc under a Kaiser window, for places 0 to 1 behind a sample."""
    away = np.arange(1 - _REACH, _REACH + 1)[None] - np.linspace(0, 1, _PHASES + 1)[:, None]
    window = np.i0(_KAISER * np.sqrt(np.clip(1 - (away / _REACH) ** 2, 0, None))) / np.i0(_KAISER)
    table = np.sinc(away) * window
    table[0], table[-1] = np.eye(2 * _REACH)[_REACH - 1], np.eye(2 * _REACH)[_REACH]
    return torch.from_numpy(np.concatenate((table, table[-1:])))


def read_at(sound: Tensor, places: Tensor) -> Tensor:
    """Values between samples, by a sinc of 32 taps under a Kaiser window: transparent up to 0.9 of the band.

    Args:
        sound: (channels, samples); beyond its ends there is silence.
        places: (results,) float64, in samples.

    Returns:
        (channels, results), as `sound` in type. Where places are whole numbers, exactly the samples.
    """
    table = _taps().to(sound)
    rows = torch.nn.functional.pad(sound, (_REACH, _REACH + 1)).unfold(1, 2 * _REACH, 1)
    parts = []
    for some in torch.split(places.to(sound.device), _BLOCK):
        inside = some.clamp(-1, sound.shape[1])
        whole = inside.floor()
        steps = (inside - whole) * _PHASES
        phase = steps.long()
        taps = torch.lerp(table[phase], table[phase + 1], (steps - phase).to(sound)[:, None])
        parts.append(torch.einsum("cpt,pt->cp", rows[:, whole.long() + 1], taps))
    return torch.cat(parts, 1) if parts else sound[:, :0]


@dataclass(frozen=True, slots=True)
class Wow:
    """A machine whose speed wavers: slowly (wow: a bent reel, a slack belt) and fast (flutter: capstan, sprockets)."""

    wow: float = 0.01
    """Largest share by which the speed is off, slowly."""
    flutter: float = 0.0
    wow_rate: float = 0.8
    """Hertz."""
    flutter_rate: float = 9.0
    seed: int = 0

    def speed(self, samples: int, rate: int) -> Tensor:
        """(samples,) float64: the speed at every sample of the damaged sound, about 1."""
        random = np.random.default_rng((self.seed, 4))
        time = np.arange(samples) / rate
        turns = 2 * np.pi * random.random(4)
        slow = 0.7 * np.sin(2 * np.pi * self.wow_rate * time + turns[0])
        slow += 0.3 * np.sin(2 * np.pi * 0.43 * self.wow_rate * time + turns[1])
        fast = 0.8 * np.sin(2 * np.pi * self.flutter_rate * time + turns[2])
        fast += 0.2 * np.sin(2 * np.pi * 1.7 * self.flutter_rate * time + turns[3])
        return torch.from_numpy(1 + self.wow * slow + self.flutter * fast)

    def places(self, samples: int, rate: int) -> Tensor:
        """(samples,) float64: which place of the clean sound each sample of the damaged one is; both end together."""
        speed = self.speed(samples, rate)
        return torch.cumsum(speed - speed.mean() + 1, 0) - 1

    def apply(self, sound: Tensor, rate: int) -> Tensor:
        """The sound as that machine plays it, exactly as long."""
        return read_at(sound, self.places(sound.shape[1], rate))
