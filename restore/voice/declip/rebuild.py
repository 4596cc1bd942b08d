"""Cut samples made anew, twice: by the sparsest spectrum that agrees with what is left, then by its linear prediction.

The first is analysis SPADE (Kitic, Bertin and Gribonval, Sparsity and cosparsity for audio declipping, LVA/ICA 2015),
with a threshold that falls evenly in decibels in place of a growing count of coefficients, so that every frame takes
equally long. The second is Janssen, Veldhuis and Vries (IEEE Trans. ASSP 34, 1986), whose model is made of the first's
result. In both a cut sample is never nearer to zero than it was: that is what clipping says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from restore.analysis.autoregression import coefficients, filled_in

_FRAME_SECONDS = 0.085
"""Of the first: harmonics of a low voice stand apart, and peaks of 2 ms are but a small part."""
_STEPS, _DEPTH = 100, 60.0
"""Steps of the first, and decibels from the strongest coefficient down to the weakest that counts."""
_ORDER_RATE = 375
"""The model looks back as many samples as there are in 1/375 of a second: cut peaks of a low voice last 2 ms."""
_MOST = 0.5, 0.25
"""Share of a frame beyond which no model is made of the rest, the first time and the second: the more is unknown, the
longer it takes, and the less it tells."""
_HIGHEST = 4.0
"""No rebuilt peak is more than 12 dB over the ceiling."""
REACH = 2
_AT_ONCE = 64
"""Frames worked on together: what they take stays within a processor's cache."""

_Work = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(frames, samples) sound, which of it is cut, and what has been made of it so far; returns what becomes of it."""


def frame_size(rate: int) -> int:
    """Samples of a frame, a power of two. What is rebuilt depends on `REACH` frames on either side."""
    return 1 << max(6, round(math.log2(_FRAME_SECONDS * rate)))


def rebuild(sound: Tensor, cut: Tensor, rate: int) -> Tensor:
    """Sound with its cut samples made anew, all others as they are.

    Args:
        sound: (n, samples); its length is a multiple of a quarter of `frame_size`.
        cut: likewise, bool: which are not known.
        rate: samples a second.
    """
    size = frame_size(rate)
    order = min(192, max(32, rate // _ORDER_RATE))

    result = _overlapped(sound, cut, sound, size, _sparsest)
    for most in _MOST:
        result = _overlapped(sound, cut, result, size // 2, partial(_predicted, order=order, most=most))
    return result


def _overlapped(sound: Tensor, cut: Tensor, so_far: Tensor, size: int, work: _Work) -> Tensor:
    """`so_far` with its cut samples as `work` makes them, frame by frame, under Hann windows that overlap by half."""
    hop = size // 2
    window = torch.hann_window(size, dtype=sound.dtype, device=sound.device)
    known, unknown, made = (each.unfold(1, size, hop) for each in (sound, cut, so_far))
    frames = made.clone()
    hit = torch.nonzero(unknown.any(2))
    for first in range(0, len(hit), _AT_ONCE):
        at = tuple(hit[first : first + _AT_ONCE].T)
        frames[at] = work(known[at], unknown[at], made[at])
    frames *= window
    total, weight = torch.zeros_like(sound), torch.zeros_like(sound[:1])
    for turn in range(2):
        part = frames[:, turn::2].flatten(1)
        span = slice(turn * hop, turn * hop + part.shape[1])
        total[:, span] += part
        weight[:, span] += window.repeat(part.shape[1] // size)
    return torch.where(cut, total / weight.clamp(min=1e-3), so_far)


def _sparsest(known: Tensor, unknown: Tensor, so_far: Tensor) -> Tensor:
    """Frames with the fewest strong coefficients, of a Fourier transform twice as long, that agree with what is known.

    Alternating directions: coefficients under the threshold fall, cut samples go no lower than their ceiling, the rest
    is what was heard.
    """
    size, scale = 2 * known.shape[1], (2 * known.shape[1]) ** -0.5
    window = torch.hann_window(known.shape[1], dtype=known.dtype, device=known.device).clamp(min=1e-4)
    heard = known * window
    floor = torch.where(unknown & (known > 0), heard, -torch.inf)
    lid = torch.where(unknown & (known < 0), heard, torch.inf)
    spectrum = torch.fft.rfft(so_far * window, size) * scale
    strongest = spectrum.abs().amax(1, keepdim=True)
    owed = torch.zeros_like(spectrum)
    sound = heard
    for step in range(_STEPS):
        wanted = spectrum + owed
        threshold = strongest * 10 ** (-_DEPTH / 20 * step / (_STEPS - 1))
        wanted = torch.where(wanted.abs() > threshold, wanted, torch.zeros_like(wanted))
        free = torch.fft.irfft(wanted - owed, size)[:, : known.shape[1]] / scale
        sound = torch.where(unknown, torch.minimum(torch.maximum(free, floor), lid), heard)
        spectrum = torch.fft.rfft(sound, size) * scale
        owed = owed + spectrum - wanted
    return _held(sound / window, known, unknown)


def _predicted(known: Tensor, unknown: Tensor, so_far: Tensor, *, order: int, most: float) -> Tensor:
    """Frames whose cut samples are foreseen best; where too many are cut, as they were made so far."""
    result = so_far.clone()
    rows = torch.nonzero(unknown.float().mean(1) <= most)[:, 0]
    if not len(rows):
        return result
    heard, missing = known[rows].double(), unknown[rows]
    model = coefficients(so_far[rows].double(), order)
    filled = filled_in(heard, missing, model)
    lower = missing & (filled * heard.sign() < heard.abs())
    if bool(lower.any()):
        filled = filled_in(heard, missing & ~lower, model)
    result[rows] = _held(filled.to(known), known[rows], missing)
    return result


def _held(made: Tensor, known: Tensor, unknown: Tensor) -> Tensor:
    """Samples that are unknown between their ceiling and the highest one believed; the others as they were heard."""
    highest = _HIGHEST * torch.where(unknown, known.abs(), torch.zeros_like(known)).amax(1, keepdim=True)
    size = torch.minimum(torch.maximum(made * known.sign(), known.abs()), highest)
    return torch.where(unknown, size * known.sign(), known)
