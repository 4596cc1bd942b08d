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

from restore.analysis.rank import median, ranked
from restore.analysis.spectrum import power_of

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
    """Where most complex values lie, along the last axis: from the median, by Cauchy weights that tighten.

    `weights` may have more axes in front: for several means of the same values.
    """
    real, imaginary = values.real.contiguous(), values.imag.contiguous()
    spread = median(power_of(values)).sqrt()
    at, beside = median(real), median(imaginary)
    near = round(0.35 * (values.shape[-1] - 1))
    typical = spread
    for step, tightness in enumerate((1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.12)):
        away = (real - at).square_().add_((imaginary - beside).square_())
        if step % 3 == 0:  # the quantile is most of the work, and hardly moves from one step to the next
            typical = ranked(away, near).sqrt() * 1.5
        usual = torch.minimum(typical, spread * tightness) + 1e-9
        share = weights / away.div_(usual.square()).add_(1).square_()
        total = share.sum(-1, keepdim=True).clamp_(min=1e-12)
        at, beside = (real * share).sum(-1, keepdim=True) / total, (imaginary * share).sum(-1, keepdim=True) / total
    return torch.complex(at, beside)[..., 0]


def turned_back(lines: Tensor, numbers: Tensor, phase: Tensor) -> Tensor:
    """(..., harmonics, frames) complex64 amplitudes against a first harmonic that runs ahead by `phase` radians."""
    angle = (2 * math.pi * torch.frac(numbers * (phase / (-2 * math.pi)))).float()
    return lines * torch.complex(angle.cos(), angle.sin())


def coarse_course(lines: Tensor, frequency: float, hop: float) -> Tensor:
    """The frequency's stray over time, from the dynamic programme over short pieces.

    Args:
        lines: (harmonics, frames) complex amplitudes against the nominal frequency.
        frequency: nominal, hertz.
        hop: seconds from frame to frame.

    Returns:
        (frames,) share by which the frequency is off.
    """
    height = power_of(lines).sqrt_()
    usual = median(height).clamp(min=1e-9)
    held = lines * (torch.minimum(height, usual) / usual / height.clamp(min=1e-12))
    strays = torch.linspace(-STRAY, STRAY, _STEPS, dtype=torch.float64)
    numbers = torch.arange(1, len(lines) + 1, dtype=torch.float64)
    step = max(1, _PIECE // 2)
    starts = list(range(0, max(1, lines.shape[1] - _PIECE + 1), step))
    length = min(_PIECE, lines.shape[1])
    time = torch.arange(length, dtype=torch.float64) * hop
    turn = torch.exp(-2j * math.pi * frequency * numbers[:, None, None] * strays[:, None] * time).to(lines.dtype)
    pieces = held.unfold(1, length, step)  # (harmonics, pieces, frames)
    scores = (pieces @ turn.transpose(1, 2)).abs().mean(0) / length
    cost = -scores.double() * math.sqrt(len(lines))
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
        lines: (channels, harmonics, frames) complex64.
        frequency: nominal, hertz.
        hop: seconds from frame to frame.
    """
    flat = lines.flatten(0, 1)
    numbers = torch.arange(1, lines.shape[1] + 1, dtype=torch.float64).repeat(lines.shape[0])[:, None]
    course = coarse_course(lines[median(power_of(lines)).sqrt().sum((1, 2)).argmax()], frequency, hop)
    phase = 2 * math.pi * frequency * hop * torch.cumsum(_blurred(course, 15), 0)
    for lag, width in ((2, 31), (4, 21), (6, 15)):
        phase = phase + torch.cumsum(_drift(turned_back(flat, numbers, phase), numbers, lag, width), 0)
    even = torch.ones(flat.shape[1])
    for highest, width in ((2, 31), (3, 21), (5, 15), (8, 11), (16, 9), (64, 7), (64, 7)):
        low = numbers[:, 0] <= highest
        number = numbers[low]
        turned = turned_back(flat[low], number, phase)
        mean = robust_mean(turned, even)[:, None]
        noise, height = power_of(turned - mean).double(), mean.abs().double()
        usual = 0.1 * height + 1e-9
        weight = (number * height * usual / (usual.square() + noise)).square() * (height > _FAINT)
        off = torch.angle(turned * mean.conj()) / number
        total = _blurred(weight.sum(0), width)
        phase = phase + _blurred((weight * off).sum(0), width) / (total + 1e-3 * total.mean() + 1e-12)
    return phase


def _drift(turned: Tensor, numbers: Tensor, lag: int, width: int) -> Tensor:
    """(frames,) radians a frame by which the first harmonic still turns, from each line's turning over `lag` frames."""
    frames = turned.shape[1]
    if frames <= lag + 1:
        return torch.zeros(frames, dtype=torch.float64)
    height = power_of(turned).sqrt_()
    usual = median(height).clamp(min=1e-12)
    held = turned * (usual / torch.maximum(height, usual))
    pairs = held[:, lag:] * held[:, :-lag].conj()
    heard = _blurred(torch.nn.functional.pad((pairs.imag * numbers).sum(0), (lag // 2, lag - lag // 2)), width)
    size = _blurred(
        torch.nn.functional.pad((power_of(pairs).sqrt() * numbers.square()).sum(0), (lag // 2, lag - lag // 2)), width
    )
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
    turned = turned_back(lines, numbers, phase) / response(numbers * strays, seconds).float()
    time = torch.arange(lines.shape[2]) - torch.tensor(nodes, dtype=torch.float32)[:, None, None, None]
    weights = (0.5 + 0.5 * torch.cos((time / reach).clamp(-1, 1) * math.pi)).clamp(min=1e-6)
    mean = robust_mean(turned, weights)
    agrees = power_of(turned - mean[..., None]) < (_AGREE * mean.abs()[..., None]).square()
    share = (agrees * weights).sum(-1) / weights.sum(-1)
    return torch.where((share > _SHARE) & (mean.abs() > _FAINT), mean, torch.zeros_like(mean))
