"""Cleaning one frame by its cosine transform, in overlapping blocks, with the noise's own spectrum.

Twice: what a hard threshold leaves tells the second pass how much of every frequency is picture (the two steps of
Dabov, Foi, Katkovnik, Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative filtering", IEEE Trans.
Image Processing 2007, without the search for similar blocks: the third dimension was averaged over before).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from restore.analysis.noise import BLOCK, cosines

_STEP = 4
_THRESHOLD = 2.6
_WIENER = 1.0
_NOUGHT = 1e-10


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
        padded = F.pad(plane[None, None], edges, mode="reflect" if reflects else "replicate")[0, 0]
        variance = F.avg_pool2d(F.pad(sigma[None, None], edges, mode="replicate"), BLOCK, _STEP).reshape(-1, 1).square()
        noise = variance * self._spectrum + _NOUGHT
        found = _blocks(padded) @ self._basis.T
        kept = (found.square() > _THRESHOLD**2 * noise).float()
        kept[:, 0] = 1
        pilot = _joined((found * kept) @ self._basis, 1 / kept.sum(dim=1), padded)
        power = (_blocks(pilot) @ self._basis.T).square_()
        gains = power / (power + _WIENER * noise)
        gains[:, 0] = 1
        done = _joined((found * gains) @ self._basis, 1 / gains.square().sum(dim=1), padded)
        return done[_STEP : _STEP + height, _STEP : _STEP + width]


def _blocks(padded: Tensor) -> Tensor:
    """(rows * columns, 64) overlapping blocks, a step apart, each read row by row."""
    rows, columns = padded.shape[0] // _STEP - 1, padded.shape[1] // _STEP - 1
    line = padded.shape[1]
    view = padded.contiguous().as_strided((rows, columns, BLOCK, BLOCK), (line * _STEP, _STEP, line, 1))
    return view.reshape(-1, BLOCK * BLOCK)


def _joined(blocks: Tensor, weights: Tensor, like: Tensor) -> Tensor:
    """A plane of the shape of `like` from overlapping blocks, averaged with a weight each, (n,)."""
    down, across = like.shape[0] // _STEP, like.shape[1] // _STEP
    rows, columns = down - 1, across - 1
    total, divisor = like.new_zeros(down, _STEP, across, _STEP), like.new_zeros(down, across)
    parts = (blocks * weights[:, None]).view(rows, columns, 2, _STEP, 2, _STEP)
    each = weights.view(rows, columns)
    for y in (0, 1):
        for x in (0, 1):
            total[y : y + rows, :, x : x + columns] += parts[:, :, y, :, x].transpose(1, 2)
            divisor[y : y + rows, x : x + columns] += each
    return (total / divisor[:, None, :, None]).reshape(like.shape)
