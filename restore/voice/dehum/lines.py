"""Following a hum: one phase that wanders, and harmonics that keep their size and place to it.

All of it happens on the complex amplitudes of the harmonics in short frames, as if each had been tuned in on a radio.
A voice drowns them most of the time, so every mean here is a robust one: it settles where many frames agree, which is
where the voice rests.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

STRAY = 0.008
"""Largest share by which the frequency may be off its nominal value."""
_STEPS = 81
_PIECE = 16
"""Frames over which the frequency is taken to be constant when it is first looked for, about 1.4 s."""
_PULL = 3.0
"""What a jump by the whole range between two pieces costs in the search, in units of a perfect match."""
_AGREE = 0.4
"""A frame agrees with a harmonic's mean if it is within this share of it."""
_SHARE = 0.12
"""Share of frames that must agree."""
_FAINT = 2e-5
"""Amplitudes below -94 dBFS are no hum."""


def response(tones: Tensor, seconds: float) -> Tensor:
    """How much of a tone a Hann-windowed frame keeps when it is `tones` hertz off."""
    x = (tones * seconds).abs()
    x = torch.where((x - 1).abs() < 1e-3, 1.001, x)
    return (torch.sinc(x) / (1 - x * x)).clamp(min=0.05)


def robust_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Where most complex values lie, along the last axis: from the median, by Cauchy weights that tighten."""
    spread = values.abs().median(-1, keepdim=True).values
    centre = torch.complex(values.real.median(-1, keepdim=True).values, values.imag.median(-1, keepdim=True).values)
    near = round(0.35 * (values.shape[-1] - 1)) + 1
    typical = spread
    for step, tightness in enumerate((1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.12)):
        off = values - centre
        away = off.real.square() + off.imag.square()
        if step % 3 == 0:  # the quantile is most of the work, and hardly moves from one step to the next
            typical = away.kthvalue(near, dim=-1, keepdim=True).values.sqrt() * 1.5
        usual = torch.minimum(typical, spread * tightness) + 1e-9
        share = weights / (1 + away / usual.square()).square()
        centre = (values * share).sum(-1, keepdim=True) / share.sum(-1, keepdim=True).clamp(min=1e-12)
    return centre[..., 0]


def coarse_course(lines: Tensor, frequency: float, hop: float) -> Tensor:
    """The frequency's stray over time, from the dynamic programme over short pieces.

    Args:
        lines: (harmonics, frames) complex amplitudes against the nominal frequency.
        frequency: nominal, hertz.
        hop: seconds from frame to frame.

    Returns:
        (frames,) share by which the frequency is off.
    """
    usual = lines.abs().median(1, keepdim=True).values.clamp(min=1e-9)
    held = lines / lines.abs().clamp(min=1e-12) * torch.minimum(lines.abs(), usual) / usual
    strays = torch.linspace(-STRAY, STRAY, _STEPS, dtype=torch.float64)
    numbers = torch.arange(1, len(lines) + 1, dtype=torch.float64)
    step = max(1, _PIECE // 2)
    starts = list(range(0, max(1, lines.shape[1] - _PIECE + 1), step))
    length = min(_PIECE, lines.shape[1])
    time = torch.arange(length, dtype=torch.float64) * hop
    turn = torch.exp(-2j * math.pi * frequency * numbers[:, None, None] * strays[:, None] * time)
    pieces = held.unfold(1, length, step)  # (harmonics, pieces, frames)
    scores = (pieces @ turn.transpose(1, 2)).abs().mean(0) / length
    cost = -scores * math.sqrt(len(lines))
    jump = _PULL * (_STEPS / 8) * ((strays[:, None] - strays[None]) / (2 * STRAY)).abs()
    best, back = cost[0], []
    for row in cost[1:]:
        total, where = (best[:, None] + jump).min(0)
        back.append(where)
        best = total + row
    path = [int(best.argmin())]
    for where in reversed(back):
        path.append(int(where[path[-1]]))
    middles = np.array(starts) + (_PIECE - 1) / 2
    course = np.interp(np.arange(lines.shape[1]), middles, strays[path[::-1]].numpy())
    return torch.from_numpy(course)


def follow(lines: Tensor, frequency: float, hop: float) -> Tensor:
    """(frames,) the phase by which the hum runs ahead of its nominal frequency, radians of the first harmonic.

    Args:
        lines: (channels, harmonics, frames) complex.
        frequency: nominal, hertz.
        hop: seconds from frame to frame.
    """
    flat = lines.flatten(0, 1)
    numbers = torch.arange(1, lines.shape[1] + 1, dtype=torch.float64).repeat(lines.shape[0])[:, None]
    course = coarse_course(lines[lines.abs().median(2).values.sum(1).argmax()], frequency, hop)
    phase = 2 * math.pi * frequency * hop * torch.cumsum(_blurred(course, 15), 0)
    for lag, width in ((2, 31), (4, 21), (6, 15)):
        phase = phase + torch.cumsum(_drift(flat * torch.exp(-1j * numbers * phase), numbers, lag, width), 0)
    even = torch.ones(flat.shape[1], dtype=torch.float64)
    for highest, width in ((2, 31), (3, 21), (5, 15), (8, 11), (16, 9), (64, 7), (64, 7)):
        low = numbers[:, 0] <= highest
        number = numbers[low]
        turned = flat[low] * torch.exp(-1j * number * phase)
        mean = robust_mean(turned, even)[:, None]
        noise = (turned - mean).abs()
        kept = mean.abs() > _FAINT
        usual = 0.1 * mean.abs() + 1e-9
        weight = number.square() * mean.abs().square() / (usual.square() + noise.square()) ** 2 * usual.square() * kept
        off = torch.angle(turned * mean.conj()) / number
        total = _blurred(weight.sum(0), width)
        phase = phase + _blurred((weight * off).sum(0), width) / (total + 1e-3 * total.mean() + 1e-12)
    return phase


def _drift(turned: Tensor, numbers: Tensor, lag: int, width: int) -> Tensor:
    """(frames,) radians a frame by which the first harmonic still turns, from each line's turning over `lag` frames."""
    frames = turned.shape[1]
    if frames <= lag + 1:
        return torch.zeros(frames, dtype=torch.float64)
    usual = turned.abs().median(1, keepdim=True).values.clamp(min=1e-12)
    held = turned * torch.minimum(torch.ones_like(usual), usual / turned.abs().clamp(min=1e-12))
    pairs = held[:, lag:] * held[:, :-lag].conj()
    heard = _blurred(torch.nn.functional.pad((pairs.imag * numbers).sum(0), (lag // 2, lag - lag // 2)), width)
    size = _blurred(torch.nn.functional.pad((pairs.abs() * numbers.square()).sum(0), (lag // 2, lag - lag // 2)), width)
    return heard / size.clamp(min=1e-20) / lag


def _blurred(values: Tensor, width: int) -> Tensor:
    kernel = torch.hann_window(width + 2, periodic=False, dtype=values.dtype)[1:-1]
    padded = torch.nn.functional.pad(values[None, None], (width // 2, width // 2), mode="replicate")
    return torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None])[0, 0]


def sizes(
    lines: Tensor, phase: Tensor, hop: float, seconds: float, nodes: list[float], reach: float
) -> Tensor:  # fmt: skip
    """(nodes, channels, harmonics) complex amplitudes at frames `nodes`, over some `reach` frames; 0 where unsteady."""
    numbers = torch.arange(1, lines.shape[1] + 1, dtype=torch.float64)[None, :, None]
    strays = torch.gradient(phase)[0] / (2 * math.pi * hop) if len(phase) > 1 else phase * 0
    turned = lines * torch.exp(-1j * numbers * phase) / response(numbers * strays, seconds)
    time = torch.arange(lines.shape[2], dtype=torch.float64)
    found = []
    for node in nodes:
        weights = (0.5 + 0.5 * torch.cos(((time - node) / reach).clamp(-1, 1) * math.pi)).clamp(min=1e-6)
        mean = robust_mean(turned, weights)
        agrees = ((turned - mean[..., None]).abs() < _AGREE * mean.abs()[..., None]).double()
        share = (agrees * weights).sum(-1) / weights.sum(-1)
        found.append(torch.where((share > _SHARE) & (mean.abs() > _FAINT), mean, torch.zeros_like(mean)))
    return torch.stack(found)
