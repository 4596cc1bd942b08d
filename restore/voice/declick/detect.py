"""Where the clicks are: samples that neither the past nor the future foresaw.

A click makes the prediction error large from its first sample on when predicting forwards, and from its last sample
back when predicting backwards; the smaller of the two is large only inside. A voice has such moments of its own, once
a period of its pitch. So what is found is filled in, and then looked at again: a click is much further from what its
surroundings foresee than the pulses of a voice are, it has corners, and it is not faint.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from restore.analysis.autoregression import unforeseen
from restore.analysis.rank import median
from restore.analysis.running import running_max

_SEED, _EDGE = 6.5, 3.0
"""Multiples of the usual error at which a click is found, and down to which it extends."""
_OVER_PULSES = 1.3
"""Multiple of the pulses around it that a click must reach, too."""
_OVER_NEIGHBOURS = 2.0
"""Multiple of the errors a cycle before or after that a click must reach."""
_CYCLE_SECONDS = 0.002, 0.0095
"""Lengths of a voice's cycle."""
_PULSE_SHARE = 0.25
"""Quantile of the largest errors of `_BLOCK_SECONDS` that stands for the voice's own pulses: in dense crackle, most
blocks hold a click."""
_BLOCK_SECONDS = 0.004
_QUIET = 1e-5
"""Errors below this, one third of a 16-bit step, are no clicks."""
_AROUND_SECONDS = 0.005
"""On either side, for what a click is compared with."""
_LEAST_CLEAR, _MOST_CLEAR, _CLEAR = 6.0, 28.0, 0.3
"""Multiples of the error around it that a click reaches: the less noise there is, the more. Under hiss, 6; where the
sound is so clean that a faint click would reach hundreds, the pulses of a creaking voice reach 25."""
_LEAST_CORNER, _MOST_CORNER, _CORNER = 4.0, 12.0, 1.0
"""Likewise, multiples of the bend (second difference) of the sound around it that its sharpest corner reaches."""
_GLANCE = 0.8
"""Share of the power of such a corner at which a frame is looked at: clicks are still among what is around."""
_FAINT = 0.1
"""Share of the level of the sound around it below which a click is none."""


class Search(NamedTuple):
    """What is looked for in frames of a track."""

    rate: int
    """Samples a second."""
    order: int
    """Of the models."""
    core: slice
    """Samples that may be marked: not the outer `order`."""
    longest: int
    """Samples a click may last."""
    sensitivity: float
    """dB by which thresholds are lower."""

    @property
    def factor(self) -> float:
        """What thresholds are multiplied by."""
        return float(10 ** (-self.sensitivity / 20))


def cornered(sound: Tensor, size: int, search: Search) -> Tensor:
    """(n, blocks) bool: which blocks of `size` samples may hold a click, by a glance at (n, samples) sound itself.

    A click has corners (see `genuine`), sharper than the sound on its quieter side has.
    """
    beside = max(1, round(_AROUND_SECONDS * search.rate / size))
    bend = _bend(sound).square_()
    corner = F.max_pool1d(bend[:, None], size)[:, 0]
    bent, level = (F.avg_pool1d(each[:, None], size) for each in (bend, sound.square()))
    least, most = _LEAST_CORNER / _CORNER, _MOST_CORNER / _CORNER
    need = (_CORNER**2 * torch.minimum(torch.maximum(level, least**2 * bent), most**2 * bent)).clamp_(min=_QUIET**2)
    ends = F.pad(F.avg_pool1d(need, beside, 1), (beside + 1, beside + 1), value=torch.inf)
    quieter = torch.minimum(ends[..., : corner.shape[1]], ends[..., -corner.shape[1] :])[:, 0]
    return _widened(corner > _GLANCE * search.factor**2 * quieter, 1)


def clicked(sound: Tensor, spectra: Tensor, model: Tensor, search: Search) -> Tensor:
    """(n, samples) bool: which samples of frames may be clicked.

    Args:
        sound: (n, samples) float64.
        spectra: its transform.
        model: (n, order + 1), of these frames.
        search: what for.
    """
    rate, core, factor = search.rate, search.core, search.factor
    error = _error(spectra, torch.fft.rfft(model, sound.shape[1]), core)[:, core].float()
    usual = median(error[:, ::2]).clamp(min=_QUIET) / 0.6745
    block = max(4, round(_BLOCK_SECONDS * rate))
    largest = F.max_pool1d(error[:, None], block, block, ceil_mode=True)[:, 0]
    pulses = largest.quantile(_PULSE_SHARE, dim=1, keepdim=True)
    threshold = torch.maximum(_SEED * usual, _OVER_PULSES * pulses)
    whole = torch.zeros(sound.shape, dtype=torch.bool, device=sound.device)
    some = torch.nonzero((error > factor * threshold).any(1))[:, 0]  # most frames are spared what follows
    if len(some):
        error, usual, threshold = error[some], usual[some], threshold[some]
        threshold = torch.maximum(threshold, _OVER_NEIGHBOURS * _neighbours(error, rate))
        seed = error > factor * threshold
        edge = error > factor * _EDGE * usual
        whole[some, core] = _runs(seed, edge, rate, search.longest)
    return whole


def joined(marked: Tensor, new: Tensor, search: Search) -> Tensor:
    """Both, but nothing new where together they would last too long to be a click, or to be filled in."""
    both = marked | new
    return marked | (new & ~_long(both, search.longest + 4))


def _runs(seed: Tensor, edge: Tensor, rate: int, longest: int) -> Tensor:
    """Seeds grown to whole clicks, those left out that last too long."""
    gap, margin = max(2, rate // 8000), max(1, rate // 24000)
    wide = _closed(_grown(seed, edge), gap)
    narrow = _closed(seed, gap)
    marked = (wide & ~_long(wide, longest)) | (narrow & ~_long(narrow, longest))
    return _widened(marked, margin)


def tightened(spectra: Tensor, marked: Tensor, model: Tensor, search: Search) -> Tensor:
    """The marks of clicks anew, by a model made of the sound without them: only what it did not foresee.

    Args:
        spectra: of the frames as they were heard.
        marked: (n, samples) bool: what was taken for clicked so far.
        model: (n, order + 1), of the sound with these filled in.
        search: what for.
    """
    error = _error(spectra, torch.fft.rfft(model, marked.shape[1]), search.core)
    sound = torch.where(marked, torch.nan, error)[:, search.core]
    usual = sound.nanmedian(1).values.nan_to_num().clamp(min=_QUIET)[:, None] / 0.6745
    near = _widened(marked, 2)
    return _closed((error > _EDGE * usual) & near, 3) & near


def genuine(heard: Tensor, spectra: Tensor, repaired: Tensor, marked: Tensor, model: Tensor, search: Search) -> Tensor:
    """Those of the marked samples, (n, samples) bool, whose repair took a click away rather than a pulse of the voice.

    Args as for `tightened`; `heard` is the sound of `spectra`, `repaired` that with the marked samples filled in.
    """
    core, factor = search.core, search.factor
    wide = 2 * round(_AROUND_SECONDS * search.rate) + 1
    filters = torch.fft.rfft(model, heard.shape[1])
    level = _around(repaired.square(), wide)
    usual = _around(_error(torch.fft.rfft(repaired), filters, core).square_(), wide).sqrt_().clamp_(min=_QUIET)
    corners = _around(_bend(repaired).square_(), wide).sqrt_().clamp_(min=_QUIET)
    loudness = level.sqrt()
    clear = (_CLEAR * loudness / usual).clamp_(_LEAST_CLEAR, _MOST_CLEAR)
    sharp = (_CORNER * loudness / corners).clamp_(_LEAST_CORNER, _MOST_CORNER)
    number = _numbered(marked)
    around = running_max(F.pad(number, (1, 1)), 3)  # a click's first corner is at the sample before it
    nothing = torch.zeros(len(heard), int(number.max()) + 1, dtype=heard.dtype, device=heard.device)
    unforeseen_by = nothing.scatter_reduce(1, number, _error(spectra, filters, core) / (usual * clear), "amax")
    corner = nothing.scatter_reduce(1, around, _bend(heard) / (corners * sharp), "amax")
    change = nothing.scatter_reduce(1, number, (heard - repaired).square(), "mean", include_self=False)
    loud = nothing.scatter_reduce(1, number, level, "amax")
    kept = (unforeseen_by > factor) & (corner > factor) & (change > (factor * _FAINT) ** 2 * loud)
    return marked & kept.gather(1, number)


def _error(spectra: Tensor, filters: Tensor, core: slice) -> Tensor:
    """(n, samples) how much neither past nor future foresaw; 0 outside the core."""
    result = unforeseen(spectra, filters)
    result[:, : core.start] = 0
    result[:, core.stop :] = 0
    return result


def _around(values: Tensor, width: int) -> Tensor:
    """Means over `width` (an odd number) neighbours, at the edges over those there are; values are not below 0."""
    reach, count = width // 2, values.shape[1]
    sums = F.pad(F.pad(values.cumsum(1), (1, 0))[:, None], (reach, reach), mode="replicate")[:, 0]
    at = torch.arange(count, device=values.device)
    heard = (at + reach + 1).clamp(max=count) - (at - reach).clamp(min=0)
    return (sums[:, width:] - sums[:, :-width]).clamp_(min=0).div_(heard)


def _bend(sound: Tensor) -> Tensor:
    """Size of the second difference at each sample."""
    padded = F.pad(sound, (1, 1))
    return (padded[:, 2:] + padded[:, :-2]).sub_(sound, alpha=2).abs_()


def _numbered(marked: Tensor) -> Tensor:
    """(n, samples) int64: which run of marked samples each is in, counted from 1; 0 outside."""
    return torch.cumsum(marked & ~F.pad(marked, (1, 0))[:, :-1], 1) * marked


def _neighbours(error: Tensor, rate: int) -> Tensor:
    """The largest error a cycle's time before each sample, or after it, whichever is less: a pulse has both."""
    near, far = (max(1, round(seconds * rate)) for seconds in _CYCLE_SECONDS)
    width = far - near + 1
    before = running_max(F.pad(error, (far, 0)), width)[:, : error.shape[1]]
    after = running_max(F.pad(error, (0, far)), width)[:, -error.shape[1] :]
    return torch.minimum(before, after)


def _grown(seed: Tensor, edge: Tensor) -> Tensor:
    """Runs of `edge`, bridged over two samples, that hold a seed."""
    runs = _closed(edge | seed, 2)
    number = _numbered(runs)
    hit = torch.zeros(seed.shape[0], int(number.max()) + 1, device=seed.device)
    hit = hit.scatter_reduce(1, number, (seed & runs).float(), "amax")
    hit[:, 0] = 0
    return hit.gather(1, number) > 0


def _closed(marked: Tensor, gap: int) -> Tensor:
    """Gaps of up to `gap` samples between marked ones marked too."""
    wide = running_max(F.pad(marked.to(torch.uint8), (gap, gap)), gap + 1)
    return running_max(1 - wide, gap + 1) == 0


def _widened(marked: Tensor, margin: int) -> Tensor:
    """`margin` samples on either side of marked ones marked too."""
    return running_max(F.pad(marked.to(torch.uint8), (margin, margin)), 2 * margin + 1) > 0


def _long(marked: Tensor, longest: int) -> Tensor:
    """Samples in runs of more than `longest`."""
    size = longest + 1
    if marked.shape[1] < size:
        return torch.zeros_like(marked)
    worn = 1 - running_max(1 - marked.to(torch.uint8), size)
    return running_max(F.pad(worn, (longest, longest)), size) > 0
