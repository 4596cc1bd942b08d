"""Scratches while rendering: the plan says where each runs; its exact path in a frame is found there, and filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from restore.analysis.flow import Picture, Plane
from restore.analysis.ridges import best_path, reach, response, strips
from restore.errors import OptionError
from restore.stages.dedust.detect import Mask

Index = npt.NDArray[np.intp]
_PATH: TypeAdapter[list[tuple[int, float, float]]] = TypeAdapter(list[tuple[int, float, float]])
_BAND = 4
"""How far from its planned place a scratch is sought, in pixels."""


@dataclass(frozen=True, slots=True)
class Line:
    """A scratch through a shot."""

    sign: int
    """1: lighter than the picture, -1: darker."""
    path: tuple[tuple[int, float, float], ...]
    """(pts, x at half height, how much further right it is at the bottom than at the top), by rising pts."""

    @classmethod
    def parse(cls, value: Any) -> Line:
        """From the plan or from edits: ``{"sign": 1 or -1, "path": [[pts, x, slope], ...]}``. Raises OptionError."""
        try:
            if set(value) != {"sign", "path"} or value["sign"] not in (1, -1):
                raise ValueError
            path = _PATH.validate_python(value["path"])
            if not path or not np.isfinite(np.array(path, float)).all():
                raise ValueError
        except (ValidationError, TypeError, ValueError):
            raise OptionError(
                'dedust: lines: write a list of {"sign": 1 or -1, "path": [[pts, x at half height, slope], ...]}'
            ) from None
        return cls(int(value["sign"]), tuple(sorted(path)))

    def as_json(self) -> dict[str, Any]:
        """What `parse` reads."""
        return {"sign": self.sign, "path": [list(place) for place in self.path]}

    def at(self, pts: int) -> tuple[float, float] | None:
        """x at half height and slope at a time; None before its first and after its last."""
        times = [place[0] for place in self.path]
        if not times[0] <= pts <= times[-1]:
            return None
        return (
            float(np.interp(pts, times, [place[1] for place in self.path])),
            float(np.interp(pts, times, [place[2] for place in self.path])),
        )


def scratch_mask(luma: Plane, lines: Sequence[Line], pts: int) -> Mask:
    """(H, W): where the scratches of the plan lie on one frame."""
    mask = np.zeros(luma.shape, bool)
    ridge: dict[int, Plane] = {}
    for line in lines:
        place = line.at(pts)
        if place is None:
            continue
        if line.sign not in ridge:
            ridge[line.sign] = response(luma, line.sign)
        _mark(mask, luma, ridge[line.sign], line.sign, place)
    return mask


def _mark(mask: Mask, luma: Plane, ridge: Plane, sign: int, place: tuple[float, float]) -> None:
    """Find a line near its planned place, row by row, and mark what it covers."""
    height, width = luma.shape
    middle, slope = place
    rows = np.arange(height)
    planned = middle + slope * ((rows + 0.5) / height - 0.5)
    offsets = np.arange(-_BAND, _BAND + 1)
    at_x = (planned[:, None] + offsets).astype(np.float32)
    at_y = np.repeat(rows[:, None], len(offsets), 1).astype(np.float32)
    band = cv2.remap(ridge, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    count = max(4, height // 16)
    coarse = strips(band, count) - np.abs(offsets).astype(np.float32) * np.float32(0.002)
    total, way = best_path(coarse)
    columns = way[:, int(total.argmax())]
    strength = coarse[np.arange(count), columns]
    shows = _shows(strength)
    if not shows.any():
        return
    where = (np.arange(count) + 0.5) * height / count
    x = planned + np.interp(rows, where, offsets[columns])
    there = np.interp(rows, where, shows.astype(float)) > 0.4
    half = _half_width(luma, sign, x, there)
    low, high = max(0, int(x.min() - half) - 1), min(width, int(x.max() + half) + 2)
    near = np.abs(np.arange(low, high)[None, :] - x[:, None]) <= half
    mask[:, low:high] |= near & there[:, None]


def _shows(strength: npt.NDArray[np.floating[Any]]) -> Mask:
    """In which strips the line is there: where it is plain, and in gaps of up to two strips between such."""
    usual = float(np.median(strength))
    shows = strength > max(0.006, 0.3 * usual)
    closed = cv2.morphologyEx(shows.astype(np.uint8)[:, None], cv2.MORPH_CLOSE, np.ones((3, 1), np.uint8))[:, 0]
    return np.asarray(closed, bool)


def _half_width(luma: Plane, sign: int, x: npt.NDArray[np.float64], there: Mask) -> float:
    """Half the width of what the line covers: where its mean profile comes down to a tenth of its height, and a bit."""
    away = reach(luma.shape[0]) + 1
    offsets = np.arange(-away, away + 0.01, 0.5)
    at_x = (x[there][:, None] + offsets).astype(np.float32)
    at_y = np.repeat(np.flatnonzero(there)[:, None], len(offsets), 1).astype(np.float32)
    profile = np.median(cv2.remap(luma, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), axis=0) * sign
    profile = profile - np.minimum(profile[:2].mean(), profile[-2:].mean())
    peak = float(profile[len(profile) // 2 - 1 : len(profile) // 2 + 2].max())
    wide = np.abs(offsets)[profile > 0.12 * peak]
    return float(np.clip(wide.max() if len(wide) else 1.0, 1.0, away - 1.5)) + 0.3


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Runs of masked pixels, one a row and scratch."""

    row: Index
    first: Index
    last: Index
    width: int

    @classmethod
    def of(cls, mask: Mask) -> _Gaps:
        starts = mask & ~np.pad(mask, ((0, 0), (1, 0)))[:, :-1]
        ends = mask & ~np.pad(mask, ((0, 0), (0, 1)))[:, 1:]
        row, first = np.nonzero(starts)
        return cls(row, first, np.nonzero(ends)[1], mask.shape[1])

    def beside(self, step: int) -> _Gaps:
        """The same gaps that many pixels further right, where they still lie inside the picture."""
        fits = (self.first + step >= 1) & (self.last + step < self.width - 1)
        return _Gaps(self.row[fits], self.first[fits] + step, self.last[fits] + step, self.width)

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


def mend_scratches(here: Picture, mask: Mask) -> Picture:
    """Take scratches away, keeping what can be seen through them.

    A row's gap is bridged from its two sides. What the picture differs from that bridge by is the scratch, which hardly
    changes from row to row, and fine detail, which does: its mean along the scratch is dropped, and of the rest as much
    is kept as such bridges miss beside the scratch, where nothing hides the truth (a Wiener gain).
    """
    if not mask.any():
        return here
    x0, x1 = _reach_of(mask)
    part, hole = np.ascontiguousarray(here[:, x0:x1]), mask[:, x0:x1]
    gaps = _Gaps.of(hole)
    bridge = gaps.bridged(part)
    weight = hole.astype(np.float32)
    detail = part - bridge
    detail = (detail - _along(detail, weight)) * weight[..., None]
    power = _along(detail**2, weight).mean(-1)
    usual = np.zeros_like(power)
    for side in (-1, 1):
        step = side * (int((gaps.last - gaps.first).max()) + 4)
        control = gaps.beside(step)
        where = control.mask(hole.shape) * (1 - weight)
        missed = part - control.bridged(part)
        missed = (missed - _along(missed, where)) * where[..., None]
        usual += np.roll(_along(missed**2, where).mean(-1), -step, axis=1) / 2
    gain = np.clip(usual / np.maximum(power, 1e-8), 0, 1)
    result = here.copy()
    mended = np.where(hole[..., None], bridge + gain[..., None] * detail, part)
    # What the scratch bleached or blackened wholly shows nothing through it.
    lost = hole & ((part >= 1).any(-1) | (part <= 0).any(-1))
    result[:, x0:x1] = np.where(lost[..., None], bridge, mended)
    return result


def _reach_of(mask: Mask) -> tuple[int, int]:
    """Which columns the masked pixels need, their surroundings included."""
    columns = np.flatnonzero(mask.any(0))
    return max(0, int(columns[0]) - 40), min(mask.shape[1], int(columns[-1]) + 41)


def _along(values: Picture, weight: Plane) -> Picture:
    """Means along columns, over some 25 rows, of what has a weight."""
    rows = max(9, round(25 * values.shape[0] / 480)) | 1
    total = cv2.blur(values * weight[..., None], (1, rows), borderType=cv2.BORDER_REFLECT).reshape(values.shape)
    count = cv2.blur(weight, (1, rows), borderType=cv2.BORDER_REFLECT)
    return np.asarray(total / np.maximum(count, 1e-3)[..., None], np.float32)


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
