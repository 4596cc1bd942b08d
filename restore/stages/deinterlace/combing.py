"""Measuring combs: how badly two fields go together, and how much a field moved."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
_TOOTH = 0.035
"""A line is a comb's tooth where it differs from both neighbours, the same way, by more than this (of full scale)."""


class FieldPair(NamedTuple):
    """The two fields of a frame, luma in [0, 1], every second column: combs are vertical."""

    top: Field
    bottom: Field


def fields_of(luma: npt.NDArray[np.generic], peak: float) -> FieldPair:
    """Split a luma plane into its fields; an odd last line is left out."""
    height = luma.shape[0] // 2 * 2
    thin = np.asarray(luma[:height, ::2], np.float32) / np.float32(peak)
    return FieldPair(np.ascontiguousarray(thin[0::2]), np.ascontiguousarray(thin[1::2]))


def combing(top: Field, bottom: Field) -> float:
    """The share of samples that are teeth when two fields are woven (as in Donald Graft's Decomb, a product of
    the differences to both neighbours)."""
    if len(top) < 2:
        return 0.0
    teeth = _teeth(top[:-1], bottom[:-1], top[1:]) + _teeth(bottom[:-1], top[1:], bottom[1:])
    return teeth / (2 * bottom[:-1].size)


def roughness(fields: FieldPair) -> float:
    """The share of teeth within single fields, whose lines belong together: grain and fine detail, no combs."""
    if len(fields.top) < 3:
        return 0.0
    teeth = sum(_teeth(field[:-2], field[1:-1], field[2:]) for field in fields)
    return teeth / (2 * fields.top[1:-1].size)


def _teeth(above: Field, line: Field, below: Field) -> int:
    """How many samples stick out of those above and below them, the same way."""
    first, second = line - above, line - below
    return int(np.count_nonzero((np.minimum(first, second) > _TOOTH) | (np.maximum(first, second) < -_TOOTH)))


def change(first: Field, second: Field) -> float:
    """How much a field differs from that of another frame: the mean of the most changed 1/32 of 8x8 blocks."""
    difference = np.abs(first - second)
    height, width = (side // 8 * 8 for side in difference.shape)
    if not height or not width:
        return float(difference.mean()) if difference.size else 0.0
    blocks = difference[:height, :width].reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3)).ravel()
    most = max(1, blocks.size // 32)
    return float(np.partition(blocks, blocks.size - most)[-most:].mean())
