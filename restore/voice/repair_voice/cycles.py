"""A worn voice's cycles: found one by one, set in even steps, and made alike.

Everything is told in cycles: `turns` says how many have passed at each sample. The voice's own turns stumble (jitter);
even ones follow them as prosody does and no faster. Reading the voice at the places of even turns undoes the jitter,
and reading it some whole cycles before and after as well, and averaging, keeps what repeats (the voice) and wears down
what does not (breath, roughness, shimmer). Timing stays to within a fraction of a cycle.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from restore.damage.sound_speed import read_at

_HARMONICS = 8
_HIGHEST = 1800.0
"""Hertz up to which harmonics tell where a cycle is."""
_CYCLES = 2.2
"""Length of the window through which harmonics are heard, in cycles of the voice's usual pitch."""
_PROSODY_SECONDS = 0.05
"""Changes slower than this are meant; the natural tremor of a voice (5 Hz) among them."""
_STEP_SECONDS = 0.001
_MOST_STRAY = 0.18
"""Cycles by which one may be moved."""
_WEIGHTS = (0.08, 0.24, 0.36, 0.24, 0.08)
"""Of the cycles two before to two after."""


def turns_of(hertz: Tensor, rate: int, usual: float) -> tuple[Tensor, Tensor]:
    """(samples,) cycles passed, going on at the usual pitch where `hertz` is 0, and voicing.

    Voicing is 1 inside voiced stretches and falls to 0 within 10 ms at their ends.
    """
    voiced = (hertz > 0).float()
    width = 2 * round(0.005 * rate) + 1
    inner = -F.max_pool1d(-voiced[None], width, 1, width // 2)[0]
    kernel = torch.hann_window(width + 2, periodic=False)[1:-1]
    soft = F.conv1d(inner[None, None], (kernel / kernel.sum())[None, None], padding=width // 2)[0, 0]
    return torch.cumsum(torch.where(hertz > 0, hertz, usual), 0) / rate, soft


def stray(sound: Tensor, turns: Tensor, rate: int, usual: float) -> Tensor:
    """(samples,) by how many cycles the voice runs ahead of where prosody alone would have it, from its harmonics."""
    samples = len(sound)
    step = max(1, round(_STEP_SECONDS * rate))
    width = 2 * round(_CYCLES * rate / usual / 2) + 1
    window = torch.hann_window(width + 2, periodic=False, dtype=torch.float64)[1:-1]
    count = -(-samples // step)
    padding = (width // 2, width // 2 + step)
    total = torch.zeros(count, dtype=torch.float64)
    weight = torch.zeros(count, dtype=torch.float64)
    slow = 2 * round(_PROSODY_SECONDS / _STEP_SECONDS / 2) + 1
    smooth = torch.hann_window(slow + 2, periodic=False, dtype=torch.float64)[1:-1]
    smooth = (smooth / smooth.sum())[None, None]
    for number in range(1, max(1, min(_HARMONICS, int(_HIGHEST / usual))) + 1):
        angle = -2 * math.pi * number * turns
        parts = torch.stack((sound * angle.cos(), sound * angle.sin()))
        heard = F.pad(parts, padding).unfold(1, width, step)[:, :count] @ window
        held = F.conv1d(F.pad(heard[:, None], (slow // 2, slow // 2), mode="replicate"), smooth)[:, 0]
        line, mean = torch.complex(heard[0], heard[1]), torch.complex(held[0], held[1])
        product = line * mean.conj()
        trust = product.abs() * number * number
        total += trust * torch.angle(product) / (2 * math.pi * number)
        weight += trust
    fast = (total / weight.clamp(min=1e-20)).clamp(-_MOST_STRAY, _MOST_STRAY)
    return _to_samples(fast, step, samples)


def _to_samples(values: Tensor, step: int, samples: int) -> Tensor:
    place = torch.arange(samples, dtype=torch.float64) / step
    lower = place.floor().long().clamp(max=len(values) - 1)
    upper = (lower + 1).clamp(max=len(values) - 1)
    return torch.lerp(values[lower], values[upper], place - lower)


def places_of(turns: Tensor, wanted: Tensor) -> Tensor:
    """At which samples, between them too, so many turns have passed."""
    upper = torch.searchsorted(turns, wanted).clamp(1, len(turns) - 1)
    first, second = turns[upper - 1], turns[upper]
    return upper - 1 + (wanted - first) / (second - first).clamp(min=1e-12)


def mended(sound: Tensor, guide: Tensor, hertz: Tensor, rate: int, usual: float, even: float, alike: float) -> Tensor:
    """A voice with even cycles.

    Args:
        sound: (channels, samples).
        guide: (samples,) the channels' mean, which all of them are moved by.
        hertz: (samples,) pitch, 0 where there is no voice: there the sound stays as it is.
        rate: samples a second.
        usual: hertz, of the voice as a whole.
        even: share of the stumbling that is taken away.
        alike: share of the averaging of neighbouring cycles.
    """
    turns, voiced = turns_of(hertz, rate, usual)
    ahead = stray(guide.double(), turns, rate, usual) * voiced.double() * even
    own = torch.cummax(turns + ahead, 0).values
    result = torch.zeros_like(sound)
    for cycle, weight in zip(range(-2, 3), _WEIGHTS, strict=True):
        share = weight * alike + (1 - alike) * (cycle == 0)
        if share:
            result += share * read_at(sound, places_of(own, turns + cycle))
    return sound + (result - sound) * voiced
