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
_ALIKE = 8.0
"""Mean difference of luma (of 255) over a patch at which two places are taken for the same by a third only."""
_STRAY = 0.75
"""Pixels by which the way to the frame before and back may miss its start without doubt."""
_CORRECTION = 4.0
"""Largest correction of a way at once, in pixels."""


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
        self.paint = handed + alike[..., None] * (fetched - handed)
        handed_trust = moved(self.trust, flow) * _lost(luma, self._before, flow)
        self.trust = np.maximum(alike * moved(anchor.trust, way), (1 - alike) * handed_trust)
        self._way, self._before = way, luma

    def _found(self, luma: Small, flow: Field) -> tuple[Field, Plane]:
        """Where in the anchor lies what is here, and how unlike the two are: the best of several guesses, place by
        place."""
        here = _smooth(luma)
        way = flow + moved(self._way, flow)
        difference = _difference(here, moved(self._smooth, way))
        seen = np.clip(moved(self._anchor.luma.astype(np.float32), way) + 0.5, 0, 255).astype(np.uint8)
        rest = flow_between(luma, seen)
        length = np.hypot(rest[..., 0], rest[..., 1])[..., None]
        rest *= np.minimum(1, _CORRECTION / np.maximum(length, 1e-6))
        corrected = rest + moved(way, rest)
        # What was covered for a while may stand where the camera's movement alone has brought it.
        whole = np.broadcast_to(np.median(way[::8, ::8], axis=(0, 1)).astype(np.float32), way.shape)
        for guess, handicap in ((corrected, 1.05), (whole, 1.15)):
            unlike = _difference(here, moved(self._smooth, guess)) * handicap + 0.3
            better = unlike < difference
            way[better], difference[better] = guess[better], unlike[better]
        return way, difference
