"""Cleaning one frame by its cosine transform, in overlapping blocks, with the noise's own spectrum.

Twice: what a hard threshold leaves tells the second pass how much of every frequency is picture (the two steps of
Dabov, Foi, Katkovnik, Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative filtering", IEEE Trans.
Image Processing 2007, without the search for similar blocks: the third dimension was averaged over before).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from restore.analysis.noise import BLOCK, cosines

_STEP = 4
_THRESHOLD = 2.6
_WIENER = 0.8
_NOUGHT = 1e-10
_STRIP = 8
"""Rows of blocks."""

Rule = Callable[[Tensor, Tensor], Tensor]
"""What is left of each frequency, [0, 1], of its power and that of the noise."""


class Cleaner:
    """The transform and a noise spectrum, ready for planes."""

    def __init__(self, spectrum: Tensor) -> None:
        """`spectrum` is (8, 8), its mean 1."""
        basis = torch.from_numpy(cosines()).to(spectrum)
        self._basis = torch.kron(basis, basis)
        self._spectrum = spectrum.reshape(1, -1)

    def clean(self, plane: Tensor, sigma: Tensor) -> Tensor:
        """Take noise of deviation `sigma` out of a plane; both (H, W)."""
        height, width = plane.shape
        edges = (_STEP, -width % _STEP + _STEP, _STEP, -height % _STEP + _STEP)
        reflects = min(height, width) > 2 * _STEP
        padded = F.pad(plane[None, None], edges, mode="reflect" if reflects else "replicate")[0, 0].contiguous()
        variance = F.avg_pool2d(F.pad(sigma[None, None], edges, mode="replicate"), BLOCK, _STEP)[0, 0].square()
        pilot = self._pass(padded, padded, variance, self._kept)
        done = self._pass(padded, pilot, variance, self._wiener)
        return done[_STEP : _STEP + height, _STEP : _STEP + width]

    def _pass(self, padded: Tensor, pilot: Tensor, variance: Tensor, rule: Rule) -> Tensor:
        """Once over the plane, a strip at a time: a strip stays in the processor's cache."""
        down, across = padded.shape[0] // _STEP, padded.shape[1] // _STEP
        total, divisor = padded.new_zeros(down, _STEP, across, _STEP), padded.new_zeros(down, across)
        for first in range(0, down - 1, _STRIP):
            last = min(first + _STRIP, down - 1)
            lines = slice(first * _STEP, (last + 1) * _STEP)
            found = _blocks(padded[lines]) @ self._basis.T
            guide = found if pilot is padded else _blocks(pilot[lines]) @ self._basis.T
            noise = variance[first:last].reshape(-1, 1) * self._spectrum + _NOUGHT
            gains = rule(guide.square_() if pilot is not padded else guide.square(), noise)
            gains[:, 0] = 1
            weights = 1 / gains.square().sum(dim=1)
            parts = (found.mul_(gains) @ self._basis).mul_(weights[:, None])
            cells = parts.view(last - first, across - 1, 2, _STEP, 2, _STEP)
            each = weights.view(last - first, across - 1)
            for y in (0, 1):
                for x in (0, 1):
                    rows, columns = slice(first + y, last + y), slice(x, x + across - 1)
                    total[rows, :, columns] += cells[:, :, y, :, x].transpose(1, 2)
                    divisor[rows, columns] += each
        return (total / divisor[:, None, :, None]).reshape(padded.shape)

    @staticmethod
    def _kept(power: Tensor, noise: Tensor) -> Tensor:
        return (power > _THRESHOLD**2 * noise).float()

    @staticmethod
    def _wiener(power: Tensor, noise: Tensor) -> Tensor:
        return power / torch.add(power, noise, alpha=_WIENER)


def _blocks(lines: Tensor) -> Tensor:
    """(rows * columns, 64) overlapping blocks, a step apart, each read row by row; `lines` is contiguous."""
    rows, columns = lines.shape[0] // _STEP - 1, lines.shape[1] // _STEP - 1
    line = lines.shape[1]
    view = lines.as_strided((rows, columns, BLOCK, BLOCK), (line * _STEP, _STEP, line, 1), lines.storage_offset())
    return view.reshape(-1, BLOCK * BLOCK)
