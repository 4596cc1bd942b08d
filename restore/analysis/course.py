"""The smooth course of a curve over a shot: what was meant, without what jumps from frame to frame.

A camera's path and a scene's brightness are piecewise smooth: they rest, pan, fade, and sometimes jump (a light is
switched). Weave and flicker lie on top of them as noise. L1 trend filtering finds the piecewise linear course under
the noise and keeps its bends where they are: S.-J. Kim, K. Koh, S. Boyd, D. Gorinevsky, "l1 trend filtering", SIAM
Review 51 (2009). Solved by iteratively reweighted least squares.
"""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt

Curves = npt.NDArray[np.float64]
_ROUNDS = 40
_MAD = 1.4826
"""Standard deviation of a normal law over its median absolute deviation."""


def jitter(curves: Curves, order: int = 2) -> Curves:
    """(C,) standard deviation of what jumps from frame to frame in (N, C) curves; steps and bends count little.

    From differences of an order, whose deviation is sqrt(binomial(2 order, order)) times that of white noise. Higher
    orders see less of what swings smoothly.
    """
    if len(curves) < order + 2:
        return np.zeros(curves.shape[1])
    differences = np.diff(curves, order, axis=0)
    return np.asarray(_MAD * np.median(np.abs(differences), axis=0) / np.sqrt(comb(2 * order, order)))


def alternation(curves: Curves, reach: int = 0) -> Curves:
    """(C,) how much the steps of (N, C) curves go back and forth: 1 as white noise does, 0 as a random walk or steady
    motion does (its increments do not undo one another). With `reach`, beside their mean over so many frames."""
    if len(curves) < max(8, reach + 2):
        return np.zeros(curves.shape[1])
    steps = np.diff(curves, axis=0)
    if reach:
        padded = np.pad(steps, ((reach // 2, reach - 1 - reach // 2), (0, 0)), mode="reflect")
        steps = steps - np.lib.stride_tricks.sliding_window_view(padded, reach, axis=0).mean(axis=-1)
    else:
        steps = steps - np.median(steps, axis=0)
    bound = 4 * _MAD * np.median(np.abs(steps), axis=0) + 1e-12
    steps = np.clip(steps, -bound, bound)
    product = (steps[1:] * steps[:-1]).mean(axis=0)
    return np.asarray(np.clip(-2 * product / ((steps**2).mean(axis=0) + 1e-12), 0, 1))


def find_steps(curve: Curves, noise: float, least: float, reach: int = 6) -> list[int]:
    """Frames at which an (N,) curve jumps to another level and stays there: a light switched, a splice missed.

    Args:
        curve: the curve.
        noise: its jitter.
        least: smallest jump that counts, in the units of the curve.
        reach: how many frames before and after are compared.
    """
    found: list[tuple[float, int]] = []
    for frame in range(2, len(curve) - 1):
        before, after = curve[max(0, frame - reach) : frame], curve[frame : frame + reach]
        if min(len(before), len(after)) < 2:
            continue
        jump = float(np.median(after) - np.median(before))
        spread = max(noise, _MAD * float(np.median(np.abs(before - np.median(before)))))
        enough = max(least, 3 * spread * (1 + 2 / np.sqrt(min(len(before), len(after)))))
        if abs(jump) > enough and abs(curve[frame] - curve[frame - 1]) > 0.7 * abs(jump):
            found.append((abs(jump), frame))
    chosen: list[int] = []
    for _, frame in sorted(found, reverse=True):
        if all(abs(frame - other) >= 3 for other in chosen):
            chosen.append(frame)
    return sorted(chosen)


def smooth_course(curves: Curves, span: float, noise: Curves, steps: list[int] | None = None) -> Curves:
    """The piecewise linear course of curves.

    Args:
        curves: (N, C).
        span: frames over which a bend must last to be believed; longer is smoother.
        noise: (C,) jitter of each curve; where it is 0 the course is the curve.
        steps: frames where the course may jump.

    Returns:
        (N, C).
    """
    count = len(curves)
    if count < 3:
        return np.repeat(curves.mean(axis=0, keepdims=True), count, axis=0) if count else curves.copy()
    live = noise > 0
    if not live.any():
        return curves.copy()
    result = curves.copy()
    data = curves[:, live] / noise[live]
    joined = np.ones((count - 2, 1))
    for step in steps or ():
        joined[max(0, step - 2) : step] = 0
    strength = 0.3 * span**1.5
    smallest = 0.05 / span  # a bend this small, in units of noise a frame, is none
    course = _penalised(data, joined * strength * span, np.ones_like(data))
    for _ in range(_ROUNDS):
        bends = np.abs(np.diff(course, 2, axis=0))
        away = np.abs(data - course)
        trust = np.minimum(1, 2.5 / np.maximum(away, 1e-9))  # Huber: single wild frames do not bend the course
        new = _penalised(data, joined * strength / np.maximum(bends, smallest / span), trust)
        moved = float(np.abs(new - course).max())
        course = new
        if moved < 2e-3:
            break
    result[:, live] = course * noise[live]
    return result


def _penalised(data: Curves, weights: Curves, trust: Curves) -> Curves:
    """Minimise sum trust (x - data)^2 + sum weights (second differences of x)^2, for (N, C) columns at once.

    The system is pentadiagonal, symmetric and positive: an LDL' factorisation, vectorised over the columns.
    """
    count, columns = data.shape
    weights = np.broadcast_to(weights, (count - 2, columns))
    main, first, second = trust.copy(), np.zeros((count, columns)), np.zeros((count, columns))
    main[:-2] += weights
    main[1:-1] += 4 * weights
    main[2:] += weights
    first[:-2] -= 2 * weights
    first[1:-1] -= 2 * weights
    second[:-2] += weights
    pivot, lower, lower2, right = (np.zeros((count + 2, columns)) for _ in range(4))
    rhs = trust * data
    for row in range(count):
        # rows are stored two places on, so that the two before the first are zeros
        one, two = lower[row + 1], lower2[row]
        p1, p2 = pivot[row + 1], pivot[row]
        pivot[row + 2] = main[row] - p1 * one * one - p2 * two * two
        right[row + 2] = rhs[row] - one * right[row + 1] - two * right[row]
        lower[row + 2] = (first[row] - p1 * one * lower2[row + 1]) / pivot[row + 2]
        lower2[row + 2] = second[row] / pivot[row + 2]
    solution = np.zeros((count + 2, columns))
    for row in range(count - 1, -1, -1):
        solution[row] = (
            right[row + 2] / pivot[row + 2] - lower[row + 2] * solution[row + 1] - lower2[row + 2] * solution[row + 2]
        )
    return solution[:count]
