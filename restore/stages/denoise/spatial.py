"""Cleaning one frame by its cosine transform, in overlapping blocks, with the noise's own spectrum.

Each coefficient is scaled as Wiener's filter has it, by how far its power stands above the noise's; power is read from
the coefficient and from those of the same frequency in the blocks around, which share their texture and edges (as for
wavelets in Mihcak, Kozintsev, Ramchandran, Moulin, "Low-complexity image denoising based on statistical modeling of
wavelet coefficients", IEEE Signal Processing Letters 1999). Blocks that say much with few coefficients count for more.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from restore.analysis.noise import BLOCK, cosines

_STEP = 4
_OWN = 0.15
"""How much of the estimate of power is the coefficient's own; the rest is the mean of 3 by 3 blocks."""
_NOISE = 1.8
"""What is taken off that power, in variances of the noise: an estimate of so few samples scatters."""
_NOUGHT = 1e-10
_STRIP = 16
"""Rows of blocks that are worked on at a time: they stay in the processor's cache."""


class Cleaner:
    """The transform and a noise spectrum, ready for planes."""

    def __init__(self, spectrum: Tensor) -> None:
        """`spectrum` is (8, 8), its mean 1."""
        basis = torch.from_numpy(cosines()).to(spectrum)
        self._basis = torch.kron(basis, basis)
        self._spectrum = spectrum.reshape(1, 1, -1)

    def clean(self, plane: Tensor, sigma: Tensor) -> Tensor:
        """Take noise of deviation `sigma` out of a plane; both (H, W)."""
        height, width = plane.shape
        edges = (_STEP, -width % _STEP + _STEP, _STEP, -height % _STEP + _STEP)
        reflects = min(height, width) > 2 * _STEP
        padded = F.pad(plane[None, None], edges, mode="reflect" if reflects else "replicate")[0, 0].contiguous()
        deviation = F.pad(sigma[None, None], edges, mode="replicate")
        variance = F.avg_pool2d(deviation, BLOCK, _STEP)[0, 0].square()[..., None]
        down, across = padded.shape[0] // _STEP, padded.shape[1] // _STEP
        total, divisor = padded.new_zeros(down, _STEP, across, _STEP), padded.new_zeros(down, across)
        for first in range(0, down - 1, _STRIP):
            last = min(first + _STRIP, down - 1)
            above, below = min(first, 1), min(down - 1 - last, 1)
            lines = padded[(first - above) * _STEP : (last + below + 1) * _STEP]
            found = _blocks(lines) @ self._basis.T
            gains = self._gains(found, variance[first - above : last + below])
            rows = slice(above, above + last - first)
            _add(
                total[first : last + 1], divisor[first : last + 1], found[rows] * gains[rows] @ self._basis, gains[rows]
            )
        done = (total / divisor[:, None, :, None]).reshape(padded.shape)
        return done[_STEP : _STEP + height, _STEP : _STEP + width]

    def _gains(self, found: Tensor, variance: Tensor) -> Tensor:
        """(rows, columns, 64) what is left of each coefficient."""
        power = found.square().div_(variance * self._spectrum + _NOUGHT)
        around = _sum_of_three(_sum_of_three(power, 0), 1)
        estimate = around.mul_((1 - _OWN) / 9).add_(power, alpha=_OWN)
        gains = estimate.reciprocal_().mul_(-_NOISE).add_(1).clamp_(min=0)
        gains[..., 0] = 1
        return gains


def _blocks(lines: Tensor) -> Tensor:
    """(rows, columns, 64) overlapping blocks, a step apart, each read row by row; `lines` is contiguous."""
    rows, columns = lines.shape[0] // _STEP - 1, lines.shape[1] // _STEP - 1
    line = lines.shape[1]
    view = lines.as_strided((rows, columns, BLOCK, BLOCK), (line * _STEP, _STEP, line, 1), lines.storage_offset())
    return view.reshape(rows, columns, BLOCK * BLOCK)


def _sum_of_three(values: Tensor, dim: int) -> Tensor:
    """Each block with the one before and after it along a dimension; beyond the edge, the last again."""
    count = values.shape[dim]
    total = values.clone()
    total.narrow(dim, 1, count - 1).add_(values.narrow(dim, 0, count - 1))
    total.narrow(dim, 0, count - 1).add_(values.narrow(dim, 1, count - 1))
    total.narrow(dim, 0, 1).add_(values.narrow(dim, 0, 1))
    total.narrow(dim, count - 1, 1).add_(values.narrow(dim, count - 1, 1))
    return total


def _add(total: Tensor, divisor: Tensor, blocks: Tensor, gains: Tensor) -> None:
    """Lay overlapping blocks, (rows, columns, 64), into (rows + 1, 4, columns + 1, 4), and their weights likewise."""
    rows, columns = gains.shape[:2]
    weights = gains.square().sum(dim=2).reciprocal_()
    cells = blocks.mul_(weights[..., None]).view(rows, columns, 2, _STEP, 2, _STEP)
    for y in (0, 1):
        for x in (0, 1):
            total[y : y + rows, :, x : x + columns] += cells[:, :, y, :, x].transpose(1, 2)
            divisor[y : y + rows, x : x + columns] += weights
