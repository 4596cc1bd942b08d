"""Gaps a scratch leaves in the rows of a picture, and bridges over them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Picture, Plane
from restore.stages.dedust.detect import Mask

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Gaps:
    """Runs of masked pixels, one a row and scratch."""

    row: Index
    first: Index
    last: Index
    width: int

    @classmethod
    def of(cls, mask: Mask) -> Gaps:
        """The runs of a mask, (H, W)."""
        starts = mask & ~np.pad(mask, ((0, 0), (1, 0)))[:, :-1]
        ends = mask & ~np.pad(mask, ((0, 0), (0, 1)))[:, 1:]
        row, first = np.nonzero(starts)
        return cls(row, first, np.nonzero(ends)[1], mask.shape[1])

    def beside(self, step: int) -> Gaps:
        """The same gaps that many pixels further right, where they still lie inside the picture."""
        fits = (self.first + step >= 1) & (self.last + step < self.width - 1)
        return Gaps(self.row[fits], self.first[fits] + step, self.last[fits] + step, self.width)

    def bridged(self, here: Picture) -> Picture:
        """The picture with these gaps filled from their two sides, in the direction in which the sides fit best."""
        result = here.copy()
        height = here.shape[0]
        left, right = self.first - 1, self.last + 1
        left, right = np.where(left < 0, right, left), np.where(right >= self.width, left, right)
        left, right = np.clip(left, 0, self.width - 1), np.clip(right, 0, self.width - 1)
        shift = _directions(cv2.blur(here, (1, 3)).reshape(here.shape), self.row, left, right)
        for k in range(int((self.last - self.first).max()) + 1 if len(self.row) else 0):
            inside = self.first + k <= self.last
            row, x = self.row[inside], self.first[inside] + k
            t = ((k + 1) / (self.last - self.first + 2))[inside].astype(np.float32)
            up = np.clip(np.round(row - shift[inside] * 2 * t).astype(int), 0, height - 1)
            down = np.clip(np.round(row + shift[inside] * 2 * (1 - t)).astype(int), 0, height - 1)
            result[row, x] = here[up, left[inside]] * (1 - t)[:, None] + here[down, right[inside]] * t[:, None]
        return result

    def mask(self, shape: tuple[int, ...]) -> Plane:
        """1 in the gaps, else 0."""
        result = np.zeros(shape, np.float32)
        for k in range(int((self.last - self.first).max()) + 1 if len(self.row) else 0):
            inside = self.first + k <= self.last
            result[self.row[inside], self.first[inside] + k] = 1
        return result


def _directions(side: Picture, row: Index, left: Index, right: Index) -> npt.NDArray[np.float64]:
    """For each gap, by how many rows its left side fits higher, and its right side lower, than straight across."""
    height = side.shape[0]
    shifts = np.arange(-3, 4)
    cost = np.zeros((len(shifts), len(row)))
    for place, shift in enumerate(shifts):
        for tap in (-1, 0, 1):
            up = np.clip(row + tap - shift, 0, height - 1)
            down = np.clip(row + tap + shift, 0, height - 1)
            cost[place] += np.abs(side[up, left] - side[down, right]).mean(-1)
        cost[place] += 0.01 * abs(shift)
    best = cost.argmin(0)
    unsure = cost[best, np.arange(len(row))] > 0.6 * cost[len(shifts) // 2]
    return np.where(unsure, 0.0, shifts[best].astype(np.float64))
