"""Sound as an autoregressive process: its model, what the model cannot foresee, and samples it can fill in.

After Godsill and Rayner, Digital Audio Restoration (Springer, 1998), chapters 3 to 5. Everything is batched over
frames, in double precision: a resampled voice leaves the upper half of its band empty, 90 dB below the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor

_RIDGE = 1e-9
"""Added to the power: the emptiest band is taken to be this far below the sound."""


def coefficients(frames: Tensor, order: int) -> Tensor:
    """Predictors of frames, by autocorrelation under a Hann window and Levinson's recursion.

    Args:
        frames: (n, samples) float64.
        order: how many past samples predict the next.

    Returns:
        (n, order + 1): 1 and the coefficients of the prediction error filter; (1, 0, ...) for silent frames.
    """
    samples = frames.shape[1]
    size = _quick(samples + order)  # what wraps around reaches no lag that is used
    spectra = torch.fft.rfft(frames * torch.hann_window(samples, dtype=frames.dtype, device=frames.device), size)
    lags = torch.fft.irfft(torch.view_as_real(spectra).square().sum(-1), size)[:, : order + 1]
    lags = lags.T.contiguous()
    back = lags.flip(0)
    error = lags[0] * (1 + _RIDGE) + 1e-20
    found = torch.zeros_like(lags)
    found[0] = 1
    for step in range(1, order + 1):
        turn = -(found[:step] * back[order - step : order]).sum(0) / error
        found[1 : step + 1] += turn * found[:step].flip(0)
        error = error * (1 - turn * turn)
    return found.T.contiguous()


def _quick(least: int) -> int:
    """A size not below `least` whose transforms are quick: a power of two, or 9/8, 5/4 or 3/2 of one."""
    power = 1 << max(4, least.bit_length() - 1)
    return next(size for eighths in (8, 9, 10, 12, 16) if (size := power * eighths // 8) >= least)


def unforeseen(frames: Tensor, model: Tensor) -> tuple[Tensor, Tensor]:
    """What prediction misses, from the past and from the future, (n, samples) each; the outer `order` are no use."""
    size = frames.shape[1]  # what wraps around falls on the outer samples
    sound, filters = torch.fft.rfft(frames, size), torch.fft.rfft(model, size)
    forwards = torch.fft.irfft(sound * filters, size)
    backwards = torch.fft.irfft(sound * filters.conj(), size)
    return forwards, backwards


def filled_in(frames: Tensor, unknown: Tensor, model: Tensor) -> Tensor:
    """Frames with unknown samples replaced by those that make the prediction error least.

    Args:
        frames: (n, samples).
        unknown: (n, samples) bool; what stands there is not looked at.
        model: (n, order + 1), of these frames.
    """
    order = model.shape[1] - 1
    result = frames.clone()
    size = 4 * model.shape[1]
    kernel = torch.fft.irfft(torch.view_as_real(torch.fft.rfft(model, size)).square().sum(-1), size)[:, : order + 1]
    counts = unknown.sum(1)
    for rounded in torch.unique((counts + 15) // 16).tolist():  # the size of a system depends on its own frame alone
        if not rounded:
            continue
        rows = torch.nonzero((counts + 15) // 16 == rounded)[:, 0]
        width = 16 * rounded
        places = torch.argsort(unknown[rows].to(torch.int8), dim=1, descending=True, stable=True)[:, :width]
        used = torch.arange(width, device=frames.device)[None] < counts[rows, None]
        known = torch.nn.functional.pad(torch.where(unknown[rows], 0.0, frames[rows]), (order, order))
        reach = torch.arange(2 * order + 1, device=frames.device)
        near = known.gather(1, (places[:, :, None] + reach).flatten(1)).reshape(len(rows), width, -1)
        lags = kernel[rows]
        symmetric = torch.cat((lags[:, 1:].flip(1), lags), 1)
        wanted = -(near * symmetric[:, None]).sum(2) * used
        apart = (places[:, :, None] - places[:, None]).abs()
        matrix = torch.nn.functional.pad(lags, (0, 1)).gather(1, apart.clamp(max=order + 1).flatten(1))
        both = used[:, :, None] & used[:, None]
        eye = torch.eye(width, dtype=frames.dtype, device=frames.device)
        matrix = torch.where(both, matrix.reshape(-1, width, width), eye)
        matrix = matrix + eye * (1e-10 * lags[:, :1, None])
        solved = torch.cholesky_solve(wanted[..., None], torch.linalg.cholesky_ex(matrix)[0])[..., 0]
        values = torch.where(used, solved, frames[rows].gather(1, places))
        result[rows] = frames[rows].scatter(1, places, values)
    return result
