"""Finding a shot's flicker: curves of brightness, their smooth course, and what lies between."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from restore.analysis.brightness import GRID, LEVELS, BrightnessCurves
from restore.analysis.course import alternation, find_steps, jitter, smooth_course
from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer
from restore.stages.deflicker.options import DeflickerOptions

Array = npt.NDArray[np.float64]

_FEWEST = 8
"""Frames a shot must have: in fewer, what jumps and what lasts cannot be told apart."""
_LIGHT = 0.15
"""A lasting jump of log brightness that is a light and not flicker."""
_FLASH = 0.25
"""A passing one, unless the whole shot jumps that much."""

_DARK = 0.04
"""Mean display value of a frame below which it is corrected less: black, at a fade's end, stays black."""


class FlickerAnalyzer(Analyzer):
    """Compares each frame with the one before; at the shot's end, divides what was meant from what flickers."""

    sees = "input"

    def __init__(self, options: DeflickerOptions) -> None:
        self._options = options
        self._pts: list[int] = []
        self._curves = BrightnessCurves()

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Forget the shot before."""
        self._pts, self._curves = [], BrightnessCurves()

    def add(self, batch: FrameBatch) -> None:
        """Measure the frames."""
        for place in range(batch.core.start, batch.core.stop):
            self._pts.append(batch.pts[place])
            self._curves.add(batch.pixels[place, 0])

    def finish(self) -> dict[str, Any]:
        """See `flicker_plan`."""
        return flicker_plan(self._pts, self._curves, self._options)


def flicker_plan(pts: list[int], curves: BrightnessCurves, options: DeflickerOptions) -> dict[str, Any]:
    """The plan of one shot.

    ``flicker`` and ``local_flicker``: how much was found, in percent of brightness (standard deviation). Where it is
    worth correcting: ``pts`` of the frames; ``brightness``, the mean of each frame as found (display values);
    ``levels``, display values, and ``tones``, for each frame the natural log of the factor at each level; ``grid``,
    rows and columns, and ``cells``, for each frame the log of the factor in each cell, row by row, on top of it.
    """
    found, cells = curves.tones(), curves.cells()
    if len(found) < _FEWEST:
        return {"flicker": 0.0, "local_flicker": 0.0}
    whole = found[:, 1:-1].mean(axis=1)
    noise = jitter(whole[:, None])
    steps = find_steps(whole, float(noise[0]), _LIGHT)
    tones = _tone_corrections(found, options.span, steps)
    whole_change = tones[:, 1:-1].mean(axis=1)
    tones[np.abs(whole_change) > max(_FLASH, 6 * float(noise[0]))] = 0  # a flash of light is not flicker
    tones *= np.clip(np.asarray(curves.means) / _DARK, 0, 1)[:, None]
    size = 100 * float(whole_change.std())
    local = (smooth_course(cells, options.span, jitter(cells), steps) - cells) * _believed(cells)
    local -= local.mean(axis=1, keepdims=True)
    local_size = 100 * float(local.std())
    plan: dict[str, Any] = {"flicker": round(size, 3), "local_flicker": round(local_size, 3)}
    keep_tones, keep_cells = size >= options.least, local_size >= options.least
    if keep_tones or keep_cells:
        plan |= {"pts": pts, "brightness": [round(mean, 4) for mean in curves.means]}
    if keep_tones:
        plan |= {"levels": list(LEVELS), "tones": _rows(_monotonic(tones))}
    if keep_cells:
        plan |= {"grid": list(GRID), "cells": _rows(local)}
    return plan


def _tone_corrections(found: Array, span: float, steps: list[int]) -> Array:
    """What must be added to curves of log brightness to bring them onto their course, which is sought in brightness
    itself: there a fade is a straight line."""
    brightness = np.exp(found - np.quantile(found, 0.9, axis=0))
    course = smooth_course(brightness, span, jitter(brightness), steps)
    return np.asarray(np.log(np.clip(course / brightness, 0.25, 4)))


def _believed(cells: Array) -> Array:
    """How far each cell's jumps look like flicker, which goes back and forth, and not like motion, which does not."""
    return np.asarray(np.clip((alternation(cells) - 0.2) / 0.4, 0, 1))


def _monotonic(tones: Array) -> Array:
    """Corrections that never turn a darker value into a lighter one than its neighbour's."""
    levels = np.log(np.asarray(LEVELS) + 0.02)
    room = 0.8 * np.diff(levels)
    result = tones.copy()
    for node in range(1, tones.shape[1]):
        result[:, node] = np.maximum(result[:, node], result[:, node - 1] - room[node - 1])
    return result


def _rows(values: Array) -> list[list[float]]:
    return [[round(float(value), 4) + 0.0 for value in row] for row in values]
