"""Sound as an autoregressive process: its model, what the model cannot foresee, and samples it can fill in.

After Godsill and Rayner, Digital Audio Restoration (Springer, 1998), chapters 3 to 5. Everything is batched over
frames, in double precision: a resampled voice leaves the upper half of its band empty, 90 dB below the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor

from restore.analysis.spectrum import power_of

_RIDGE = 1e-9
"""Added to the power: the emptiest band is taken to be this far below the sound."""


def coefficients(frames: Tensor, order: int) -> Tensor:
    """Predictors of frames, by autocorrelation under a Hann window and Schur's recursion.

    Args:
        frames: (n, samples) float64.
        order: how many past samples predict the next.

    Returns:
        (n, order + 1): 1 and the coefficients of the prediction error filter; (1, 0, ...) for silent frames.
    """
    samples = frames.shape[1]
    size = _quick(samples)  # under this window next to nothing wraps around
    spectra = torch.fft.rfft(frames * torch.hann_window(samples, dtype=frames.dtype, device=frames.device), size)
    lags = torch.fft.irfft(power_of(spectra), size)[:, : order + 1].T.contiguous()
    ahead, behind = lags[1:], lags[:-1].clone()  # Schur's, not Levinson's: the same without a sum in every step
    behind[0] += behind[0] * _RIDGE + 1e-20
    found = torch.zeros_like(lags)
    found[0] = 1
    for step in range(1, order + 1):
        turn = -ahead[0] / behind[0]
        found[1 : step + 1].addcmul_(turn, found[:step].flip(0))
        ahead, behind = torch.addcmul(ahead, turn, behind)[1:], torch.addcmul(behind, turn, ahead)[:-1]
    return found.T.contiguous()


def _quick(least: int) -> int:
    """A size not below `least` whose transforms are quick: a power of two, or 9/8, 5/4 or 3/2 of one."""
    power = 1 << max(4, least.bit_length() - 1)
    return next(size for eighths in (8, 9, 10, 12, 16) if (size := power * eighths // 8) >= least)


def unforeseen(spectra: Tensor, model: Tensor) -> Tensor:
    """How much neither past nor future foresaw, (n, samples) not below 0; the outer `order` samples are no use.

    Args:
        spectra: the frames' Fourier transform, `rfft` of (n, samples), of an even length.
        model: the transforms of their models, as long.
    """
    size = 2 * (spectra.shape[1] - 1)  # what wraps around falls on the outer samples
    forwards, backwards = torch.fft.irfft(spectra * model, size), torch.fft.irfft(spectra * model.conj(), size)
    return torch.minimum(forwards.abs_(), backwards.abs_())


def filled_in(frames: Tensor, unknown: Tensor, model: Tensor) -> Tensor:
    """Frames with unknown samples replaced by those that make the prediction error least.

    Args:
        frames: (n, samples).
        unknown: (n, samples) bool; what stands there is not looked at.
        model: (n, order + 1), of these frames.
    """
    order, samples = model.shape[1] - 1, frames.shape[1]
    result = frames.clone()
    size = 4 * model.shape[1]
    kernel = torch.fft.irfft(power_of(torch.fft.rfft(model, size)), size)[:, : order + 1]
    size = _quick(samples + order)
    twice = power_of(torch.fft.rfft(model, size))  # the error, and then the error of that, reversed
    missed: Tensor = torch.fft.irfft(torch.fft.rfft(frames.masked_fill(unknown, 0.0), size) * twice, size)
    row, place = torch.nonzero(unknown, as_tuple=True)
    counts = unknown.sum(1)
    slot = torch.arange(len(row), device=frames.device) - (torch.cumsum(counts, 0) - counts)[row]
    groups = (counts + 15) // 16  # the size of a system depends on its own frame alone
    for rounded in torch.unique(groups[groups > 0]).tolist():
        rows = torch.nonzero(groups == rounded)[:, 0]
        width = 16 * rounded
        here = groups[row] == rounded
        at = torch.searchsorted(rows, row[here]), slot[here]
        places = torch.full((len(rows), width), -1, device=frames.device)
        places[at] = place[here]
        used = places >= 0
        wanted = torch.where(used, -missed[rows].gather(1, places.clamp(min=0)), 0.0)
        lags = torch.nn.functional.pad(kernel[rows], (0, 1))
        apart = (places[:, :, None] - places[:, None]).abs_().clamp_(max=order + 1)
        matrix = lags.gather(1, apart.flatten(1)).reshape(-1, width, width)
        matrix.masked_fill_(~(used[:, :, None] & used[:, None]), 0.0)
        matrix.diagonal(dim1=1, dim2=2).copy_(torch.where(used, lags[:, :1] * (1 + 1e-10), 1.0))
        solved = torch.cholesky_solve(wanted[..., None], torch.linalg.cholesky_ex(matrix)[0])[..., 0]
        result[row[here], place[here]] = solved[at]
    return result
