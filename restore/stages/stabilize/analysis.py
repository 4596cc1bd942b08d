"""Finding a shot's weave: the camera's path, its smooth course, and what lies between."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from restore.analysis.camera_path import CameraPath
from restore.analysis.course import alternation, find_steps, jitter, smooth_course
from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer
from restore.stages.stabilize.options import StabilizeOptions

Array = npt.NDArray[np.float64]

_FEWEST = 8
"""Frames a shot must have: in fewer, what jumps and what moves on cannot be told apart."""
_STILL = 0.006
"""Share of the longer side within which a camera that does not move stays, weave included."""
_WEIGHT = 1.5
"""Frames over which a bend of the path is rounded (sigma of a Gaussian)."""
_SURE = 4.0
"""Weave so many times the least that counts is taken away even if it goes back and forth only at times."""
_HAND = 0.05
"""Alternation of a camera held in the hand: it shakes strongly, but no frame undoes the step of the one before."""
_SHAKES = 24
"""Frames from which on such a camera is told by one axis alone:"""
_OVER = 3.0
"""then what jumps along the other is its shake too, unless it jumps so many times as far."""


class WeaveAnalyzer(Analyzer):
    """Follows the picture; at the shot's end, divides the camera's movement from the film's."""

    sees = "input"

    def __init__(self, options: StabilizeOptions) -> None:
        self._options = options
        self._pts: list[int] = []
        self._path = CameraPath()
        self._side = 1

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Forget the shot before."""
        self._pts, self._path = [], CameraPath()
        self._side = max(format.width, format.height)

    def add(self, batch: FrameBatch) -> None:
        """Follow the frames."""
        for place in range(batch.core.start, batch.core.stop):
            self._pts.append(batch.pts[place])
            self._path.add(batch.pixels[place, 0])

    def finish(self) -> dict[str, Any]:
        """See `weave_plan`."""
        return weave_plan(self._pts, self._path.path(), self._side, self._options)


def weave_plan(pts: list[int], path: Array, side: int, options: StabilizeOptions) -> dict[str, Any]:
    """The plan of one shot, in pixels of the stage's input.

    ``weave``: how much was found, across and down (standard deviation). Where it is worth taking away: ``pts`` of the
    frames; ``path``, how far each frame lies right of and below the first, as found; ``shift``, how far each is moved
    right and down; and ``turn``, if asked for, by what angle (radians, clockwise) and what log of a factor each is
    turned and enlarged.
    """
    if len(path) < _FEWEST:
        return {"weave": [0.0, 0.0]}
    scale = np.array((1, 1, side / 2, side / 2))  # turning by an angle moves the edge by so many pixels
    moves = path * scale
    noise = jitter(moves, order=4)  # a camera swings smoothly, the gate does not
    least = options.least / 100 * side
    back_and_forth = alternation(moves, reach=9)
    plain = np.maximum(back_and_forth, alternation(moves))  # in a short shot nothing can be said beside a mean
    jumping = (back_and_forth > 0.25) | ((noise >= _SURE * least) & (plain > _HAND))
    wanted = (noise >= least) & (noise > 0) & jumping & np.array((True, True, options.turn, options.turn))
    # A gate shakes the film along both axes; a car shakes the camera in it along one like a spring, and jolts it.
    swings = (noise[:2] >= least) & (plain[:2] <= _HAND) & (len(path) >= _SHAKES)
    wanted &= noise >= _OVER * float((noise[:2] * swings).max())
    shift = (_course(moves, options.span, noise, side) - moves) * wanted
    weave = shift.std(axis=0)
    plan: dict[str, Any] = {"weave": [round(float(value), 3) for value in weave[:2]]}
    if not wanted.any():
        return plan
    farthest = options.limit / 100 * side
    shift = np.clip(shift, -farthest, farthest)
    if options.crop:
        shift[:, :2] = np.clip(shift[:, :2], -options.crop, options.crop)
    plan |= {"pts": pts, "path": _rows(path[:, :2], 3), "shift": _rows(shift[:, :2], 3)}
    if wanted[2:].any():
        plan["turn"] = _rows(shift[:, 2:] / scale[2:], 6)
    return plan


def _course(moves: Array, span: float, noise: Array, side: int) -> Array:
    """Where each frame should lie: one place if the camera stands still, else a smooth path."""
    steps = sorted(
        {step for column in (0, 1) for step in find_steps(moves[:, column], float(noise[column]), 0.01 * side)}
    )
    ranges = np.quantile(moves[:, :2], 0.98, axis=0) - np.quantile(moves[:, :2], 0.02, axis=0)
    course = smooth_course(moves, span, noise, steps)
    for first, stop in zip([0, *steps], [*steps, len(course)], strict=True):
        course[first:stop] = _eased(course[first:stop])
    if not steps and bool((ranges < _STILL * side + 3 * noise[:2]).all()):
        course[:, :2] = np.median(moves[:, :2], axis=0)
    return course


def _eased(course: Array) -> Array:
    """A path with its bends rounded: a camera has weight."""
    reach = min(5, len(course) - 1)
    if reach < 1:
        return course
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _WEIGHT) ** 2)
    padded = np.pad(course, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    return np.asarray(windows @ (weights / weights.sum()))


def _rows(values: Array, digits: int) -> list[list[float]]:
    return [[round(float(value), digits) + 0.0 for value in row] for row in values]
