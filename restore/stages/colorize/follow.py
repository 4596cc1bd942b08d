"""Colours of one frame followed along its shot, forwards or backwards.

Colours that are handed on from frame to frame blur and drift. Where it can, a follower therefore fetches them from the
frame they were made for itself: it keeps, for every place of the present frame, where in that frame it came from,
follows that along optical flow, and corrects it against the frame itself (so that small errors do not add up). Where
the two no longer look alike, the colours are those handed on.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Field, Plane, Small, flow_between, inconsistency, moved

Paint = npt.NDArray[np.float32]
"""(h, w, C): what is followed, colours or masks."""

_PATCH = 7
_ALIKE = 10.0
"""Mean difference of luma (of 255) over a patch at which two places are taken for the same by a third only."""
_PULL = 0.6
"""Share of the way to the coloured frame's own colours that is gone at once: where something is found again, its
colours do not jump."""
_STRAY = 0.75
"""Pixels by which the way to the frame before and back may miss its start without doubt."""
_CORRECTION = 4.0
"""Largest correction of a way at once, in pixels."""

_LAYERS = 3
"""Movements tried for what cannot be followed."""
_GRID = 10
"""Pixels between the places that movements are fitted to."""
_SURE = 6.0
"""Difference of luma (of 255) below which a place has a say in them."""
_FEWEST = 12
"""Places below which there is nothing to fit."""
_ASTRAY = 0.02
"""Share of a picture that must have been lost for layers to be looked for."""


@dataclass(frozen=True)
class Anchor:
    """A frame whose colours are known."""

    luma: Small
    paint: Paint
    trust: Plane
    """(h, w), 0 to 1: how sure they are."""


def _smooth(luma: Small) -> Plane:
    return np.asarray(cv2.GaussianBlur(luma, (0, 0), 1.0), np.float32)


def _difference(here: Plane, there: Plane) -> Plane:
    return np.asarray(cv2.boxFilter(cv2.absdiff(here, there), -1, (_PATCH, _PATCH)), np.float32)


def _halved(luma: Small) -> Small:
    size = (max(1, luma.shape[1] // 2), max(1, luma.shape[0] // 2))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)


def _lost(here: Small, there: Small, forth: Field) -> Plane:
    """(h, w) 0 to 1: how far what is here can be found there; by the way there and back, at half the size."""
    small_here, small_there = _halved(here), _halved(there)
    size = (small_here.shape[1], small_here.shape[0])
    way = cv2.resize(forth, size, interpolation=cv2.INTER_LINEAR) / 2
    missed = inconsistency(way, flow_between(small_there, small_here)) * 2
    found = np.exp(-(np.maximum(missed - _STRAY, 0) ** 2))
    return np.asarray(cv2.resize(found, here.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def layers_of(way: Field, difference: Plane) -> list[Field]:
    """Movements (shift, turn and size) that most places of a picture share: of what stands still before the camera, and
    of the largest things that move by themselves. Each for the whole picture, so also for where the way has been lost.

    Args:
        way: (h, w, 2), where in another picture lies what is here.
        difference: (h, w), how unlike the two are; places that differ much have no say.
    """
    height, width = difference.shape
    places = np.mgrid[_GRID // 2 : height : _GRID, _GRID // 2 : width : _GRID][::-1].reshape(2, -1).T
    sure = difference[places[:, 1], places[:, 0]] < _SURE
    here = places[sure].astype(np.float32)
    there = here + way[places[sure, 1], places[sure, 0]]
    x, y = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    found: list[Field] = []
    while len(found) < _LAYERS and len(here) >= _FEWEST:
        layer, within = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=2.0, maxIters=200)
        if layer is None:
            break
        (a, b, right), (c, d, down) = layer.astype(np.float32)
        found.append(np.dstack((a * x + b * y + right - x, c * x + d * y + down - y)))
        others = within[:, 0] == 0
        here, there = here[others], there[others]
    return found


class Follower:
    """Goes away from an anchor, one frame at a time."""

    def __init__(self, anchor: Anchor) -> None:
        self._anchor = anchor
        self._smooth = _smooth(anchor.luma)
        self._before = anchor.luma
        self._way: Field = np.zeros((*anchor.luma.shape, 2), np.float32)
        self.paint: Paint = anchor.paint
        """At the present frame."""
        self.trust: Plane = anchor.trust
        """(h, w), 0 to 1."""

    def step(self, luma: Small) -> None:
        """Go on to the next frame, (h, w) of the anchor's size."""
        anchor = self._anchor
        flow = flow_between(luma, self._before, fine=True)
        way, difference = self._found(luma, flow)
        alike = np.exp(-((difference / _ALIKE) ** 2))
        handed = moved(self.paint, flow).reshape(self.paint.shape)
        fetched = moved(anchor.paint, way).reshape(self.paint.shape)
        self.paint = handed + (_PULL * alike)[..., None] * (fetched - handed)
        handed_trust = moved(self.trust, flow) * _lost(luma, self._before, flow)
        self.trust = np.maximum(alike * moved(anchor.trust, way), (1 - alike) * handed_trust)
        self._way, self._before = way, luma

    def _seen_along(self, way: Field) -> Small:
        """The anchor's picture, moved."""
        fetched = moved(self._anchor.luma.astype(np.float32), way)
        return np.asarray(np.clip(fetched + 0.5, 0, 255), np.uint8)

    def _found(self, luma: Small, flow: Field) -> tuple[Field, Plane]:
        """Where in the anchor lies what is here, and how unlike the two are: the best of several guesses, place by
        place."""
        here = _smooth(luma)
        way = flow + moved(self._way, flow)
        difference = _difference(here, moved(self._smooth, way))
        rest = flow_between(luma, self._seen_along(way))
        length = np.hypot(rest[..., 0], rest[..., 1])[..., None]
        rest *= np.minimum(1, _CORRECTION / np.maximum(length, 1e-6))
        corrected = rest + moved(way, rest)
        # What was covered for a while, or lost, stands where the movement of its layer has brought it.
        astray = float((difference > _SURE).mean()) > _ASTRAY
        layers = layers_of(way, difference) if astray else []
        guesses = [(corrected, 1.05), *((layer, 1.15) for layer in layers)]
        if layers:
            rest = flow_between(luma, self._seen_along(layers[0]))
            guesses.append((rest + moved(layers[0], rest), 1.15))
        for guess, handicap in guesses:
            unlike = _difference(here, moved(self._smooth, guess)) * handicap + 0.3
            better = unlike < difference
            way[better], difference[better] = guess[better], unlike[better]
        return way, difference
