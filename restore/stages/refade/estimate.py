"""How faded a shot is: the share of each dye that is left, and the stain, judged by its blacks and whites.

Fading in the dark leaves a share r of each dye's density and a stain s: D' = r D + s (H. Wilhelm, The Permanence and
Care of Color Photographs, 1993), so a faded film has no deep blacks. Undoing it is D = (D' - s) / r, a curve a channel
(compare Gschwind and Frey, "Electronic imaging, a tool for the reconstruction of faded color photographs", J. Imaging
Sci. Tech. 1994). r and s are linear in six levels of the shot; the tables are fitted (`scripts/fit_refade.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.float64]

GAMMA, FLOOR = 2.2, 1e-3
CURVE_LEVELS = 33
_BINS = 1024
_LONGEST = 448
_EDGE = 20
"""One part in so many at each edge is left out: the gate, the frame line, a mount."""
_QUANTILES = (0.005, 0.995, 0.9998)
"""Of density: white, black, and the deepest black there is."""
_SOUND, _CERTAIN = 0.70, 0.08
"""The share of dyes from which down a shot counts as faded, and by how much less it is corrected wholly."""
_EMPTY = 0.3
"""Least range of density: an empty frame says nothing of the film."""
_MONOCHROME = 0.02
"""How far colours may stray from one tone scale, display values, in a picture without colours of its own."""
_LIGHT = 0.65
"""Display value that the lightest parts of a print come to at least, in some channel."""
_AIR = 0.03
"""Blacks that are bluer than red by so much, display values, are haze: the stain of old film is yellow."""
_FEWEST, _APART = 4, 0.4
"""Least shots of a reel, and by how much the blacks of two reels differ, density."""
_LEAST_KEPT, _MOST_STAIN = 0.35, 0.5

# Rows: white, black, deepest black of red, green, blue each, and 1. Columns: shares left of three, stains of three.
# The first is fitted to sound and faded pictures, and so sober; the second to faded ones alone.
_JUDGE = (
    (0.0909, 0.1564, 0.1348, -0.0113, -0.0272, -0.0397),
    (0.249, 0.1248, 0.15, -0.025, -0.0577, -0.1519),
    (-0.2596, -0.2049, -0.2152, 0.0346, 0.0885, 0.2055),
    (-0.0901, -0.0169, -0.0241, 0.0032, 0.0108, 0.0284),
    (-0.0596, -0.0673, 0.0489, 0.0006, 0.007, 0.0193),
    (0.0186, -0.0444, -0.1439, 0.0036, -0.0058, -0.0261),
    (0.3829, 0.04, 0.0786, -0.0126, -0.0248, -0.0658),
    (-0.0178, 0.3201, -0.054, -0.0031, -0.0325, -0.0665),
    (0.0033, -0.0067, 0.3259, -0.0089, 0.0145, 0.0526),
    (0.2716, 0.3057, 0.2901, 0.0541, 0.0955, 0.1793),
)
_REPAIR = (
    (0.0452, 0.0721, 0.0663, -0.0016, -0.0129, -0.0068),
    (0.0846, 0.0126, 0.039, -0.01, -0.0363, -0.1289),
    (-0.0377, -0.0019, -0.036, 0.0171, 0.0776, 0.209),
    (-0.0827, 0.0053, 0.0073, -0.0018, 0.0074, 0.0282),
    (-0.0702, -0.0714, 0.0546, -0.0002, 0.0023, 0.0097),
    (0.0746, -0.0027, -0.111, -0.0074, -0.0298, -0.0787),
    (0.3648, -0.0281, -0.0089, -0.0005, -0.0082, -0.0411),
    (-0.0378, 0.2961, -0.1138, 0.0082, -0.01, -0.022),
    (-0.0728, -0.0445, 0.3415, 0.0019, 0.0403, 0.1107),
    (0.3437, 0.3876, 0.3549, 0.0227, 0.0331, 0.0533),
)


def density(values: Array) -> Array:
    """Display values in [0, 1] to density, 3 to 0."""
    return np.asarray(-np.log10((1 - FLOOR) * np.clip(values, 0, 1) ** GAMMA + FLOOR))


def display(dense: Array) -> Array:
    """Density to display values; the inverse of `density`."""
    return np.asarray(np.clip((10 ** -np.clip(dense, -1, 3) - FLOOR) / (1 - FLOOR), 0, 1) ** (1 / GAMMA))


class Levels:
    """Counts of display values by channel, and how far colours stray from one tone scale."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, _BINS))
        self._scale = np.zeros((4, 32, 2))
        """By green's level: number, sum, sum of squares (the last twice) of red - green and blue - green."""

    @classmethod
    def of(cls, pixels: torch.Tensor) -> Levels:
        """Of (N, 3, H, W)."""
        levels = cls()
        levels.add(pixels)
        return levels

    def add(self, pixels: torch.Tensor) -> None:
        """Count frames, (N, 3, H, W), reduced and without their edges; specks of a pixel do not count."""
        for picture in pixels.cpu().numpy():
            height, width = picture.shape[1:]
            scale = min(1.0, _LONGEST / max(height, width))
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            down, across = size[1] // _EDGE, size[0] // _EDGE
            red, green, blue = (
                cv2.blur(cv2.resize(np.clip(plane, 0, 1), size, interpolation=cv2.INTER_AREA), (2, 2))[
                    down : size[1] - down, across : size[0] - across
                ].ravel()
                for plane in picture
            )
            for channel, values in enumerate((red, green, blue)):
                places = (values * np.float32(_BINS - 1) + np.float32(0.5)).astype(np.int64)
                self._counts[channel] += np.bincount(places, minlength=_BINS)
            level = np.minimum((green * 32).astype(np.int64), 31)
            for place, other in enumerate((red, blue)):
                apart = other.astype(np.float64) - green
                for power, weights in enumerate((None, apart, apart * apart)):
                    self._scale[power, :, place] += np.bincount(level, weights, minlength=32)

    def quantiles(self) -> Array:
        """(3 channels, 3): densities of white, black and the deepest black."""
        total = max(1.0, float(self._counts[0].sum()))
        dark_first = np.cumsum(self._counts, axis=1) / total
        found = [[np.searchsorted(row, 1 - share) for share in _QUANTILES] for row in dark_first]
        return density(np.minimum(np.array(found, float) / (_BINS - 1), 1))

    def features(self) -> Array:
        """(10,): what the tables are multiplied with."""
        return np.concatenate((self.quantiles().T.ravel(), np.ones(1)))

    @property
    def monochrome(self) -> bool:
        """Whether all colours lie on one scale of tones: black-and-white, whatever its tint."""
        number, first, second = self._scale[:3]
        spread = second - first**2 / np.maximum(number, 1)
        return bool(np.sqrt(spread.sum(0) / max(1.0, float(number[:, 0].sum()))).max() < _MONOCHROME)


def measured(levels: Levels) -> dict[str, Any]:
    """What is found in one shot: ``white``, ``black`` and ``deepest`` (the deepest black there is), display values of
    red, green and blue, and whether it is ``monochrome``."""
    white, black, deepest = (_rounded(display(column)) for column in levels.quantiles().T)
    return {"white": white, "black": black, "deepest": deepest, "monochrome": levels.monochrome}


def _judged(found: Array, table: tuple[tuple[float, ...], ...]) -> tuple[Array, Array]:
    """Shares of dye that are left, and stains, of red, green and blue; `found` are densities as `Levels.quantiles`."""
    told = np.concatenate((found.T.ravel(), np.ones(1))) @ np.array(table)
    return np.clip(told[:3], _LEAST_KEPT, 1.05), np.clip(told[3:], 0, _MOST_STAIN)


def correction(shot: Mapping[str, Any], sensitivity: float) -> dict[str, Any]:
    """What to do about levels as `measured` tells them.

    ``left``, the share of the dyes that is judged to be left; ``amount`` of the correction, 0 to 1. Where that is not
    0: ``kept`` and ``stain`` by channel, and the curves ``red``, ``green``, ``blue`` and, for all three where tints are
    kept, ``tone``: display values that evenly spaced levels from 0 to 1 become.
    """
    found = density(np.array([shot["white"], shot["black"], shot["deepest"]])).T
    if (found[:, 2] - found[:, 0]).max() < _EMPTY:
        return {"left": 1.0, "amount": 0.0}
    shares, _ = _judged(found, _JUDGE)
    left = float(0.7 * shares.mean() + 0.3 * shares.min())
    border = _SOUND + 0.6 * (sensitivity - 0.5)
    amount = float(np.clip((border - left) / _CERTAIN, 0, 1))
    red, green, blue = shot["deepest"]
    # Fading takes dye away, so a faded print is light somewhere; a picture that is light nowhere shows a plain road.
    if sensitivity < 1 and (blue > max(red + _AIR, green) or max(shot["white"]) < _LIGHT):
        amount = 0.0
    plan: dict[str, Any] = {"left": round(left, 3), "amount": round(amount, 3)}
    if not amount:
        return plan
    kept, stain = _judged(found, _REPAIR)
    # Silver that fades browns; black and white that is bluer than that was toned on purpose.
    toned = shot["monochrome"] and found[2, 2] < found[0, 2] + 0.02
    if shot["monochrome"] and not toned:
        kept, stain = _neutral(found, kept, stain)
    tone = _curve(kept.mean(), stain.mean(), amount)
    curves = [tone if toned else _curve(*pair, amount) for pair in zip(kept, stain, strict=True)]
    named = dict(zip(("red", "green", "blue", "tone"), (*curves, tone), strict=True))
    return plan | {"kept": _rounded(kept), "stain": _rounded(stain), **named}


def reels(shots: Sequence[Mapping[str, Any]]) -> list[range]:
    """Runs of shots that have faded alike, by their blacks; a reel has at least `_FEWEST` shots."""
    deepest = density(np.array([shot["deepest"] for shot in shots]))

    def split(run: range) -> list[range]:
        places = range(run.start + _FEWEST, run.stop - _FEWEST + 1)
        sides = [(deepest[run.start : k], deepest[k : run.stop]) for k in places]
        pairs = [(_usual_black(one), _usual_black(other)) for one, other in sides]
        if not any(np.abs(one - other).max() >= _APART for one, other in pairs):
            return [run]
        # Cut where both parts are most like themselves.
        stray = [
            sum(float(np.abs(side - usual).sum()) for side, usual in zip(both, pair, strict=True))
            for both, pair in zip(sides, pairs, strict=True)
        ]
        cut = places[int(np.argmin(stray))]
        return [*split(range(run.start, cut)), *split(range(cut, run.stop))]

    return split(range(len(shots)))


def _usual_black(dense: Array) -> Array:
    """What blacks come to in a run of shots: a scene may hold none, so the deeper ones tell."""
    return np.asarray(np.quantile(dense, 0.75, axis=0))


def settled(shots: Sequence[Mapping[str, Any]], sensitivity: float) -> list[dict[str, Any]]:
    """The plans of all shots of a film: one correction for all shots of a reel."""
    telling = [n for n, shot in enumerate(shots) if max(shot["white"]) - min(shot["deepest"]) > 0.1]
    plans = [{**_own(shot), "left": 1.0, "amount": 0.0} for shot in shots]
    for run in reels([shots[n] for n in telling]) if telling else []:
        own = [shots[telling[n]] for n in run]
        pooled: dict[str, Any] = {
            name: _rounded(display(_usual_black(density(np.array([shot[name] for shot in own])))))
            for name in ("black", "deepest")
        }
        pooled["white"] = np.quantile([shot["white"] for shot in own], 0.75, axis=0)
        pooled["monochrome"] = float(np.mean([shot["monochrome"] for shot in own])) > 0.8
        both = correction(pooled, sensitivity)
        last = telling[run.stop] if run.stop < len(telling) else len(shots)
        first = telling[run.start] if run.start else 0
        for number in range(first, last):  # black leader between the shots of a reel goes with it
            plans[number] = _own(shots[number]) | both
    return plans


def _own(shot: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shot[name] for name in ("white", "black", "deepest", "monochrome")}


def _neutral(found: Array, kept: Array, stain: Array) -> tuple[Array, Array]:
    """Shares and stains that make a picture without colours of its own neutral: its whites and its blacks meet."""
    white, black = found[:, 0], found[:, 1]
    share, base = float(kept.mean()), float(stain.mean())
    middle_white, middle_black = float(white.mean()), float(black.mean())
    shares = share * (black - white) / max(middle_black - middle_white, 0.05)
    shares = np.clip(shares, _LEAST_KEPT / 2, 1.5)
    return shares, white - shares * (middle_white - base) / share


def _curve(kept: float, stain: float, amount: float) -> list[float]:
    """Display values after undoing a fading, at evenly spaced levels."""
    x = np.linspace(0, 1, CURVE_LEVELS)
    return _rounded(display((density(x) - amount * stain) / kept**amount))


def _rounded(values: Array) -> list[float]:
    return [round(float(value), 4) + 0.0 for value in values]
