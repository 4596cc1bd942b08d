"""Scratches while rendering: the plan says where each runs; its exact path is found in the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from restore.analysis.flow import Field, Picture, Plane
from restore.analysis.ridges import best_path, precise, reach, response, strips
from restore.errors import OptionError
from restore.stages.dedust.detect import Mask
from restore.stages.dedust.fill import fetched, motion_under, under
from restore.stages.dedust.peel import View, peel

Rows = npt.NDArray[np.float32]
_PATH: TypeAdapter[list[tuple[int, float, float]]] = TypeAdapter(list[tuple[int, float, float]])
_ROWS: TypeAdapter[tuple[float, float]] = TypeAdapter(tuple[float, float])
_BAND = 4
"""How far from its planned place a scratch is sought, in pixels."""
_FAR = 1000.0


@dataclass(frozen=True, slots=True)
class Line:
    """A scratch through a shot."""

    sign: int
    """1: lighter than the picture, -1: darker."""
    path: tuple[tuple[int, float, float], ...]
    """(pts, x at half height, how much further right it is at the bottom than at the top), by rising pts."""
    rows: tuple[float, float] = (0.0, 1.0)
    """Where it begins and ends, as shares of the height; x and slope are those it would have over all of it."""

    @classmethod
    def parse(cls, value: Any) -> Line:
        """From the plan or from edits. Raises OptionError.

        ``{"sign": 1 or -1, "path": [[pts, x, slope], ...], "rows": [top, bottom]}``; without rows it runs all the way.
        """
        try:
            if not {"sign", "path"} <= set(value) <= {"sign", "path", "rows"} or value["sign"] not in (1, -1):
                raise ValueError
            path = _PATH.validate_python(value["path"])
            top, bottom = _ROWS.validate_python(value.get("rows", (0.0, 1.0)))
            if not path or not np.isfinite(np.array(path, float)).all() or not 0 <= top < bottom <= 1:
                raise ValueError
        except (ValidationError, TypeError, ValueError):
            raise OptionError(
                'dedust: lines: write a list of {"sign": 1 or -1, "path": [[pts, x at half height, slope], ...],'
                ' "rows": [top, bottom]}'
            ) from None
        return cls(int(value["sign"]), tuple(sorted(path)), (top, bottom))

    def as_json(self) -> dict[str, Any]:
        """What `parse` reads."""
        return {"sign": self.sign, "path": [list(place) for place in self.path], "rows": list(self.rows)}

    def at(self, pts: int) -> tuple[float, float] | None:
        """x at half height and slope at a time; None before its first and after its last."""
        times = [place[0] for place in self.path]
        if not times[0] <= pts <= times[-1]:
            return None
        return (
            float(np.interp(pts, times, [place[1] for place in self.path])),
            float(np.interp(pts, times, [place[2] for place in self.path])),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Where a scratch runs on one frame."""

    x: Rows
    """(H,): its middle in each row, in pixels."""
    there: Mask
    """(H,): in which rows it is."""
    half: float
    """Half the width of all that it covers, rims included."""

    def mask(self, shape: tuple[int, ...]) -> Mask:
        """(H, W): all that it covers."""
        away = np.abs(np.arange(shape[1], dtype=np.float32) - self.x[:, None])
        return np.asarray((away <= self.half) & self.there[:, None], bool)


def scratch_mask(traces: Sequence[Trace], shape: tuple[int, ...]) -> Mask:
    """(H, W): what all of them cover."""
    mask = np.zeros(shape, bool)
    for trace in traces:
        mask |= trace.mask(shape)
    return mask


def traced(luma: Plane, line: Line, pts: int) -> Trace | None:
    """Find a line of the plan near its place, row by row."""
    place = line.at(pts)
    if place is None:
        return None
    height, width = luma.shape
    middle, slope = place
    rows = np.arange(height)
    planned = middle + slope * ((rows + 0.5) / height - 0.5)
    x0 = int(np.clip(planned.min() - 3 * _BAND - 2 * reach(height), 0, width - 1))
    x1 = int(np.clip(planned.max() + 3 * _BAND + 2 * reach(height), x0 + 1, width))
    offsets = np.arange(-_BAND, _BAND + 1)
    at_x = (planned[:, None] - x0 + offsets).astype(np.float32)
    at_y = np.repeat(rows[:, None], len(offsets), 1).astype(np.float32)
    ridge = response(np.ascontiguousarray(luma[:, x0:x1]), line.sign)
    band = cv2.remap(ridge, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    count = max(4, height // 16)
    coarse = strips(band, count) - np.abs(offsets).astype(np.float32) * np.float32(0.002)
    total, way = best_path(coarse)
    columns = way[:, int(total.argmax())]
    where = (np.arange(count) + 0.5) * height / count
    shows = _shows(
        coarse[np.arange(count), columns], (where >= line.rows[0] * height) & (where <= line.rows[1] * height)
    )
    if not shows.any():
        return None
    x = planned + np.interp(rows, where, _steady(precise(coarse, columns) - _BAND, shows))
    there = np.interp(rows, where, shows.astype(float)) > 0.25
    return Trace(x.astype(np.float32), there, _half_width(luma, line.sign, x, there))


def _shows(strength: npt.NDArray[np.floating[Any]], within: Mask) -> Mask:
    """In which strips the line is there: where it is plain, and in gaps of up to two strips between such."""
    if not within.any():
        return within
    usual = float(np.median(strength[within]))
    shows = within & (strength > max(0.006, 0.3 * usual))
    closed = cv2.morphologyEx(shows.astype(np.uint8)[:, None], cv2.MORPH_CLOSE, np.ones((3, 1), np.uint8))[:, 0]
    return np.asarray(closed, bool)


def _steady(offset: npt.NDArray[np.float64], shows: Mask) -> npt.NDArray[np.float64]:
    """Offsets of strips without those that something of the scene drew away: the median of five, a little smoothed."""
    strip = np.arange(len(offset))
    found = np.interp(strip, strip[shows], offset[shows])
    wide = np.pad(found, 2, mode="edge")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(wide, 5), axis=1)
    return np.asarray(np.convolve(np.pad(middle, 1, mode="edge"), (0.25, 0.5, 0.25), "valid"))


def _half_width(luma: Plane, sign: int, x: npt.NDArray[np.float64], there: Mask) -> float:
    """Twice the distance in which the line's mean profile comes down to an eighth of its height: room for its rims."""
    away = reach(luma.shape[0]) + 1
    offsets = np.arange(-away, away + 0.01, 0.5)
    at_x = (x[there][:, None] + offsets).astype(np.float32)
    at_y = np.repeat(np.flatnonzero(there)[:, None], len(offsets), 1).astype(np.float32)
    rows = cv2.remap(luma, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * sign
    ends = np.stack((rows[:, :2].mean(1), rows[:, -2:].mean(1)))
    profile = np.median(
        rows - ends[0, :, None] - (ends[1] - ends[0])[:, None] * np.linspace(0, 1, len(offsets)), axis=0
    )
    middle = len(offsets) // 2
    low = profile <= 0.12 * float(profile[middle - 1 : middle + 2].max())
    left, right = (int(np.append(side, True).argmax()) for side in (low[middle::-1], low[middle:]))
    return 2 * float(np.clip(max(left, right) * 0.5, 1.0, away - 1.5))


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """A frame beside the one that is repaired."""

    picture: Picture
    """(H, W, C)."""
    field: Field
    """Flow to it, of reduced pictures."""
    traces: Sequence[Trace | None]
    """Its scratches, in the same order as those of the frame that is repaired."""


def mend_scratches(here: Picture, traces: Sequence[Trace | None], beside: Sequence[Beside]) -> tuple[Picture, Mask]:
    """Take scratches off a frame; says what of it was changed."""
    shape = here.shape[:2]
    covered = [trace.mask(shape) if trace is not None else None for trace in traces]
    changed = np.zeros(shape, bool)
    whole = scratch_mask([trace for trace in traces if trace is not None], shape)
    if not whole.any():
        return here, changed
    fields = [motion_under(other.field, under(whole, other.field)) for other in beside]
    result = np.copy(here, order="K")
    for number, trace in enumerate(traces):
        if trace is None:
            continue
        margin = int(3 * trace.half) + 6
        x = trace.x[trace.there]
        x0, x1 = max(0, int(x.min()) - margin), min(shape[1], int(x.max()) + margin + 1)
        free = np.ones((shape[0], x1 - x0), bool)
        for other, mask in enumerate(covered):
            if other != number and mask is not None:
                free &= ~mask[:, x0:x1]
        away = np.arange(x0, x1, dtype=np.float32) - trace.x[:, None]
        view = View(np.ascontiguousarray(result[:, x0:x1]), away, free)
        others = [_moved(other, field, number, (x0, x1), shape) for other, field in zip(beside, fields, strict=True)]
        mended, where = peel(view, others, trace.there, trace.half, max(0.5, shape[0] / 480))
        result[:, x0:x1] = mended
        changed[:, x0:x1] |= where
    return result, changed


def _moved(other: Beside, field: Field, number: int, columns: tuple[int, int], shape: tuple[int, ...]) -> View:
    """Some columns of another frame, moved into their place, seen from one of its scratches."""
    height, width = shape[:2]
    y, x = np.mgrid[0:height, columns[0] : columns[1]].astype(np.float32)
    sy, sx = height / field.shape[0], width / field.shape[1]
    motion = cv2.remap(
        field, (x + 0.5) / sx - 0.5, (y + 0.5) / sy - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    at_x, at_y = x + motion[..., 0] * np.float32(sx), y + motion[..., 1] * np.float32(sy)
    picture = fetched(other.picture, at_x, at_y)
    valid = (at_x >= 0) & (at_x <= width - 1) & (at_y >= 0) & (at_y <= height - 1)
    row = np.clip(np.round(at_y).astype(int), 0, height - 1)
    away = np.full(x.shape, _FAR, np.float32)
    for place, trace in enumerate(other.traces):
        if trace is None:
            continue
        theirs = np.where(trace.there[row], at_x - trace.x[row], _FAR).astype(np.float32)
        if place == number:
            away = theirs
        else:
            valid &= np.abs(theirs) > trace.half
    return View(picture, away, valid)
