"""Where the clicks are: samples that neither the past nor the future foresaw.

A click makes the prediction error large from its first sample on when predicting forwards, and from its last sample
back when predicting backwards; the smaller of the two is large only inside. A voice has such moments of its own, once
a period of its pitch, so a click must also stand out from the largest errors around it, not only from the usual ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SEED, _EDGE = 6.5, 2.5
"""Multiples of the usual error at which a click is found, and down to which it extends."""
_OVER_PULSES = 2.0
"""Multiple of the pulses around it that a click must reach, too."""
_OVER_NEIGHBOURS = 4.0
"""Multiple of the errors a cycle before or after that a click must reach."""
_CYCLE_SECONDS = 0.002, 0.0095
"""Lengths of a voice's cycle."""
_PULSE_SHARE = 0.5
"""Quantile of the largest errors of `_BLOCK_SECONDS` that stands for the voice's own pulses."""
_BLOCK_SECONDS = 0.004
_QUIET = 1e-5
"""Errors below this, one third of a 16-bit step, are no clicks."""


def clicked(forwards: Tensor, backwards: Tensor, core: slice, rate: int, sensitivity: float, longest: int) -> Tensor:
    """Which samples of frames are clicked.

    Args:
        forwards: (n, samples) prediction errors, and `backwards` likewise.
        core: which of the samples the errors are valid for.
        rate: samples a second.
        sensitivity: dB by which thresholds are lower.
        longest: samples a click may last.

    Returns:
        (n, samples) bool, False outside the core.
    """
    error = torch.minimum(forwards.abs(), backwards.abs())[:, core]
    usual = error.median(1).values.clamp(min=_QUIET)[:, None] / 0.6745
    block = max(4, round(_BLOCK_SECONDS * rate))
    largest = F.max_pool1d(error[:, None], block, block, ceil_mode=True)[:, 0]
    pulses = largest.quantile(_PULSE_SHARE, dim=1, keepdim=True)
    factor = 10 ** (-sensitivity / 20)
    threshold = torch.maximum(_SEED * usual, _OVER_PULSES * pulses)
    threshold = torch.maximum(threshold, _OVER_NEIGHBOURS * _neighbours(error, rate))
    seed = error > factor * threshold
    edge = error > factor * _EDGE * usual
    gap, margin = max(2, rate // 8000), max(1, rate // 24000)
    wide = _closed(_grown(seed, edge), gap)
    narrow = _closed(seed, gap)
    marked = (wide & ~_long(wide, longest)) | (narrow & ~_long(narrow, longest))
    whole = torch.zeros(forwards.shape, dtype=torch.bool, device=forwards.device)
    whole[:, core] = F.max_pool1d(marked[:, None].float(), 2 * margin + 1, 1, margin)[:, 0] > 0
    return whole


def _neighbours(error: Tensor, rate: int) -> Tensor:
    """The largest error a cycle's time before each sample, or after it, whichever is less: a pulse has both."""
    near, far = (max(1, round(seconds * rate)) for seconds in _CYCLE_SECONDS)
    width = far - near + 1
    before = F.max_pool1d(F.pad(error, (far, 0))[:, None], width, 1)[:, 0, : error.shape[1]]
    after = F.max_pool1d(F.pad(error, (0, far))[:, None], width, 1)[:, 0, -error.shape[1] :]
    return torch.minimum(before, after)


def _grown(seed: Tensor, edge: Tensor) -> Tensor:
    """Runs of `edge`, bridged over two samples, that hold a seed."""
    runs = _closed(edge | seed, 2)
    number = torch.cumsum((runs & ~F.pad(runs, (1, 0))[:, :-1]).int(), 1) * runs
    hit = torch.zeros(seed.shape[0], int(number.max()) + 1, device=seed.device)
    hit = hit.scatter_reduce(1, number.long(), (seed & runs).float(), "amax")
    hit[:, 0] = 0
    return hit.gather(1, number.long()) > 0


def _closed(marked: Tensor, gap: int) -> Tensor:
    """Gaps of up to `gap` samples between marked ones marked too."""
    size = gap + 1
    wide = F.max_pool1d(F.pad(marked.float(), (gap, gap))[:, None], size, 1)
    return -F.max_pool1d(-wide, size, 1)[:, 0] > 0


def _long(marked: Tensor, longest: int) -> Tensor:
    """Samples in runs of more than `longest`."""
    size = longest + 1
    if marked.shape[1] < size:
        return torch.zeros_like(marked)
    worn = -F.max_pool1d(-marked[:, None].float(), size, 1)
    return F.max_pool1d(F.pad(worn, (longest, longest)), size, 1)[:, 0] > 0
