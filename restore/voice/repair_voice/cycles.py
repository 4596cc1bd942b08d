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

from restore.analysis.running import running_mean
from restore.damage.sound_speed import read_at

_HARMONICS = 8
_HIGHEST = 1800.0
"""Hertz up to which harmonics tell where a cycle is."""
_CYCLES = 2.2
"""Length of the window through which harmonics are heard, in cycles of the voice's usual pitch."""
_PROSODY_SECONDS = 0.05
"""Changes slower than this are meant; the natural tremor of a voice (5 Hz) among them."""
_STEP_SECONDS = 0.001
_GUIDE_RATE = 8000
"""Hertz, about: as many samples a second as harmonics are heard in."""
_MOST_STRAY = 0.18
"""Cycles by which one may be moved."""
_WEIGHTS = (0.08, 0.24, 0.36, 0.24, 0.08)
"""Of the cycles two before to two after."""
_EDGE_SECONDS = 0.005
"""Voicing fades in and out within twice this time, inside voiced stretches."""


def turns_of(hertz: Tensor, rate: int, usual: float) -> tuple[Tensor, Tensor]:
    """(samples,) cycles passed, going on at the usual pitch where `hertz` is 0, and voicing.

    Voicing is 1 inside voiced stretches and falls to 0 within 10 ms at their ends.
    """
    voiced = (hertz > 0).double()
    edge = max(1, round(_EDGE_SECONDS * rate))
    # Deep enough inside: as many voiced samples on either side as the window is wide.
    inner = (running_mean(voiced, 2 * edge + 1, 0) == 1).double()
    soft = running_mean(running_mean(inner, 2 * (edge // 2) + 1, 0), 2 * (edge - edge // 2) + 1, 0)
    return torch.cumsum(torch.where(hertz > 0, hertz, usual), 0) / rate, soft.clamp(max=1).float()


def stray(sound: Tensor, turns: Tensor, rate: int, usual: float) -> Tensor:
    """(samples,) by how many cycles the voice runs ahead of where prosody alone would have it, from its harmonics."""
    samples = len(sound)
    fewer = max(1, rate // _GUIDE_RATE)
    step = fewer * max(1, round(_STEP_SECONDS * rate / fewer))
    guide, slow_turns = _thinned(sound, fewer), turns[::fewer]
    width = 2 * round(_CYCLES * rate / usual / 2 / fewer) + 1
    window = torch.hann_window(width + 2, periodic=False, dtype=torch.float64)[1:-1]
    count = -(-samples // step)
    padding = (width // 2, width // 2 + step // fewer)
    total = torch.zeros(count, dtype=torch.float64)
    weight = torch.zeros(count, dtype=torch.float64)
    slow = 2 * round(_PROSODY_SECONDS / (step / rate) / 2) + 1
    smooth = torch.hann_window(slow + 2, periodic=False, dtype=torch.float64)[1:-1]
    smooth = (smooth / smooth.sum())[None, None]
    angle = -2 * math.pi * slow_turns
    turn = torch.complex(angle.cos(), angle.sin())
    turned = guide * turn
    for number in range(1, max(1, min(_HARMONICS, int(_HIGHEST / usual))) + 1):
        parts = torch.view_as_real(turned).T
        heard = F.pad(parts, padding).unfold(1, width, step // fewer)[:, :count] @ window
        held = F.conv1d(F.pad(heard[:, None], (slow // 2, slow // 2), mode="replicate"), smooth)[:, 0]
        line, mean = torch.complex(heard[0], heard[1]), torch.complex(held[0], held[1])
        product = line * mean.conj()
        trust = product.abs() * number * number
        total += trust * torch.angle(product) / (2 * math.pi * number)
        weight += trust
        turned = turned * turn
    fast = (total / weight.clamp(min=1e-20)).clamp(-_MOST_STRAY, _MOST_STRAY)
    return _to_samples(fast, step, samples)


def _thinned(sound: Tensor, fewer: int) -> Tensor:
    """Every so manieth sample, under a triangle as wide as two: what folds back onto the lower harmonics is weak."""
    if fewer == 1:
        return sound
    ramp = torch.arange(1, fewer + 1, dtype=torch.float64)
    kernel = torch.cat((ramp, ramp[:-1].flip(0))) / fewer**2
    return F.conv1d(F.pad(sound, (fewer - 1, fewer - 1))[None, None], kernel[None, None], stride=fewer)[0, 0]


def _to_samples(values: Tensor, step: int, samples: int) -> Tensor:
    place = torch.arange(samples, dtype=torch.float64) / step
    lower = place.long().clamp(max=len(values) - 1)
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
    used = torch.nonzero(voiced)[:, 0]
    repaired = sound.new_zeros(sound.shape[0], len(used))
    for cycle, weight in zip(range(-2, 3), _WEIGHTS, strict=True):
        share = weight * alike + (1 - alike) * (cycle == 0)
        if share:
            repaired += share * read_at(sound, places_of(own, turns[used] + cycle))
    result = sound.clone()
    result[:, used] += (repaired - sound[:, used]) * voiced[used]
    return result
