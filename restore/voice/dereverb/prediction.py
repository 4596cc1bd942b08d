"""The late answer of a room, predicted from what was said before: weighted prediction error (WPE).

Nakatani, Yoshioka, Kinoshita, Miyoshi and Juang, Speech dereverberation based on variance-normalized delayed linear
prediction (IEEE Trans. Audio, Speech and Language Processing 18, 2010). In every bin of the short-time spectrum, what
a weighted linear prediction foresees of a frame from those at least `DELAY_SECONDS` before it is late reverberation;
the voice itself has changed by then.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restore.analysis.spectrum import ShortTime
from restore.frames import AudioFormat

DELAY_SECONDS = 0.03
"""What comes sooner is the voice, and early reflections."""
_FRAME_SECONDS = 0.032
_HIGHEST = 8000.0
"""Hertz: above, rooms answer little."""
_ROUNDS = 3
_FLOOR = 1e-4
"""Share of a bin's mean power that counts as its least: silence must not count more than speech."""
_LOADING = 1e-3


class Room:
    """The grid on which a room is learned and its answer predicted."""

    def __init__(self, format: AudioFormat, reach: float) -> None:
        self.stft = ShortTime(format.rate, _FRAME_SECONDS)
        self.delay = max(2, math.ceil(DELAY_SECONDS * format.rate / self.stft.hop))
        self.taps = self.stft.frames(reach)
        self.bins = min(self.stft.bins, int(_HIGHEST * self.stft.size / format.rate) + 1)

    @property
    def context(self) -> int:
        """Frames before one that its late reverberation is predicted from."""
        return self.delay + self.taps - 1

    def before(self, spectra: Tensor) -> Tensor:
        """(bins, frames - context, taps): for every frame with a whole past, that past, nearest first."""
        past = spectra[:, : spectra.shape[1] - self.delay]
        return past.unfold(1, self.taps, 1).flip(2)

    def learned(self, spectra: Tensor) -> tuple[Tensor, Tensor]:
        """The two sums that a filter is solved from, over frames with a whole past.

        Args:
            spectra: (bins, frames) complex64.

        Returns:
            (bins, taps, taps) and (bins, taps), complex64: correlations of the past with itself and with the frame,
            every frame over its own power, which is found in turns with the filter.
        """
        now, past = spectra[:, self.context :], self.before(spectra)
        usual = spectra.abs().square().mean(1, keepdim=True)
        dry = now
        for round in range(_ROUNDS):
            power = torch.nn.functional.avg_pool1d(dry.abs().square()[None], 3, 1, 1, count_include_pad=False)[0]
            weight = 1 / (power + _FLOOR * usual + 1e-12)
            weighted = past.conj() * weight[..., None]
            matrix = weighted.transpose(1, 2) @ past
            vector = (weighted.transpose(1, 2) @ now[..., None])[..., 0]
            if round < _ROUNDS - 1:
                dry = now - late(past, solved(matrix, vector))
        return matrix, vector


def solved(matrix: Tensor, vector: Tensor) -> Tensor:
    """(bins, taps) complex64: the filter that predicts best."""
    size = matrix.diagonal(dim1=1, dim2=2).real.mean(1).clamp(min=1e-9)
    loaded = matrix.to(torch.complex128) + torch.diag_embed(
        (_LOADING * size)[:, None].expand(-1, matrix.shape[1]).to(torch.complex128)
    )
    filters: Tensor = torch.linalg.solve(loaded, vector.to(torch.complex128)[..., None])[..., 0]
    return filters.to(torch.complex64)


def late(past: Tensor, filters: Tensor) -> Tensor:
    """(bins, frames): what filters (bins, taps) foresee from the past (bins, frames, taps)."""
    return (past @ filters[..., None])[..., 0]
