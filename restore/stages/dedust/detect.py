"""Finding dirt: what is there in one frame and absent in its neighbours, once they are moved into place.

Spikes in the manner of SDIx (Kokaram, Motion Picture Restoration, Springer 1998) and of the rank order detector
(Nadenau and Mitra, "Blotch and scratch detection in image sequences based on rank ordered differences", 1997): a seed
is a pixel outside all that its two moved neighbours hold around it; a patch is what differs from both in the same way
and touches a seed. They are sought at three sizes, since large faint dirt stands out only once grain is averaged. Then
every patch is judged (`judge`), which protects fast motion, rain, sparkle and whatever else neighbours do not predict.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Plane
from restore.stages.dedust.judge import FEATURES, Context, Labels, Table, dirt_odds, measure, seek
from restore.stages.dedust.lively import displaced, falling

Mask = npt.NDArray[np.bool_]

_SQUARE = np.ones((3, 3), np.uint8)
LEVELS = 3
"""Full size, half, a quarter."""
_RELAXED = 0.75
"""How much of the neighbours' range around a pixel counts: 1 forgives a motion that is wrong by a pixel."""


_EVEN = -0.15
"""Logarithm of the odds at which as much dirt is missed as is mistaken, on the films that `judge` was fitted to."""

_DOUBT = 2.0
"""By how much less likely a patch may be dirt to be asked whether it is rain."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as a spike, and as dirt; samples in [0, 1]."""

    sure: float = 0.030
    """A seed lies outside the neighbours' range by this much in a quiet picture,"""
    sure_unrest: float = 1.6
    """and by this many times the unrest in another (the root of the sum of squares)."""
    faint: float = 0.020
    """The same for the rest of a patch."""
    faint_unrest: float = 0.9
    odds: float = 0.0
    """Logarithm of the odds of being dirt from which on a patch is repaired."""
    company: float = 0.01
    """Where so large a share of the pixels around spikes in the frames before and after too, beyond what is usual in
    them, it rains, or sparkles."""
    largest: float = 0.02
    """Largest patch, as a share of the picture; more is a flash or another picture."""

    @classmethod
    def at(cls, sensitivity: float, one_sided: bool = False) -> Limits:
        """For a sensitivity in [0, 1]; where both neighbours lie on one side, what comes or goes looks like dirt."""
        factor = 2.0 ** (1 - 2 * sensitivity)
        odds = _EVEN + 6 * (0.5 - sensitivity) + (2.0 if one_sided else 0.0)
        return cls(sure=0.030 * factor, faint=0.020 * factor**0.5, odds=odds, company=0.01 / factor)


@dataclass(frozen=True, slots=True)
class Views:
    """A frame's luma and two moved neighbours', at one size."""

    here: Plane
    one: Plane
    other: Plane

    def halved(self) -> Views:
        """All three at half the size."""
        size = (max(1, self.here.shape[1] // 2), max(1, self.here.shape[0] // 2))
        return Views(*(cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (self.here, self.one, self.other)))


@dataclass(frozen=True, slots=True)
class Spikes:
    """How a frame's luma sticks out of its two moved neighbours."""

    excess: Plane
    """Beyond the range that both neighbours hold around a pixel: above positive, below negative, else 0."""
    difference: Plane
    """From the nearer of the two where both differ in the same direction, signed; else 0."""
    unrest: Plane
    """How badly the neighbours predict the picture around a pixel."""


def near(height: int) -> int:
    """Side of the square in which unrest is measured, odd."""
    return max(9, round(31 * height / 480)) | 1


def evened(neighbour: Plane, here: Plane) -> Plane:
    """A neighbour as bright as this frame, place by place: flicker is no dirt."""
    height, width = here.shape
    size = (max(1, width // 8), max(1, height // 8))
    small = cv2.resize(np.clip(here - neighbour, -0.08, 0.08), size, interpolation=cv2.INTER_AREA)
    side = max(3, round(size[1] / 6)) | 1
    slow = cv2.blur(small, (side, side), borderType=cv2.BORDER_REFLECT)
    return np.asarray(neighbour + cv2.resize(slow, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def spikes(views: Views) -> Spikes:
    """Compare a frame with two neighbours that were moved into its place and evened."""
    here, one, other = views.here, views.one, views.other
    to_one, to_other = here - one, here - other
    low, high = np.minimum(to_one, to_other), np.maximum(to_one, to_other)
    difference = np.maximum(low, 0) + np.minimum(high, 0)
    most, least = np.maximum(one, other), np.minimum(one, other)
    above = here - cv2.addWeighted(cv2.dilate(most, _SQUARE), _RELAXED, most, 1 - _RELAXED, 0)
    below = here - cv2.addWeighted(cv2.erode(least, _SQUARE), _RELAXED, least, 1 - _RELAXED, 0)
    excess = np.maximum(above, 0) + np.minimum(below, 0)
    missed = np.minimum(np.maximum(high, -low), np.float32(0.12))
    side = near(here.shape[0])
    unrest = cv2.blur(missed, (side, side), borderType=cv2.BORDER_REFLECT)
    return Spikes(excess, difference, np.asarray(unrest, np.float32))


def _beyond(plane: Plane, least: float, unrest_times: float, unrest: Plane) -> Mask:
    """Where a plane lies further from 0 than the root of the sum of squares of a least and a multiple of the unrest."""
    return np.asarray(plane * plane > np.float32(least**2) + np.float32(unrest_times**2) * (unrest * unrest), bool)


def density(found: Spikes) -> Plane:
    """The share of spikes around each pixel: what a frame tells those beside it. Rain and sparkle have company."""
    side = 2 * near(found.excess.shape[0]) + 1
    seeds = _beyond(found.excess, 0.04, 1.4, found.unrest).astype(np.float32)
    return np.asarray(cv2.blur(seeds, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def candidates(found: Spikes, limits: Limits) -> tuple[Labels, int]:
    """Connected patches that hold a seed, light and dark apart: labels from 1, and one more than the largest."""
    sure = _beyond(found.excess, limits.sure, limits.sure_unrest, found.unrest)
    faint = _beyond(found.difference, limits.faint, limits.faint_unrest, found.unrest)
    result = np.zeros(found.excess.shape, np.int32)
    count = 1
    for light in (True, False):
        seeds = sure & ((found.excess > 0) == light)
        if not seeds.any():
            continue
        lax = (faint & ((found.difference > 0) == light)) | seeds
        number, labels = cv2.connectedComponents(lax.view(np.uint8), connectivity=8)
        keep = np.zeros(number, bool)
        keep[labels[seeds]] = True
        keep &= np.bincount(labels.ravel(), minlength=number) <= limits.largest * labels.size
        keep[0] = False
        names = np.zeros(number, np.int32)
        names[keep] = np.arange(count, count + int(keep.sum()))
        result += np.take(names, labels)
        count += int(keep.sum())
    return result, count


def candidate_levels(
    views: Views, found: Spikes, limits: Limits, context: Context
) -> list[tuple[Labels, Table]]:  # fmt: skip
    """Patches at full size, half and a quarter: labels, and the features of each (see `judge`).

    `found` are the spikes of `views`.
    """
    levels = []
    for level in range(LEVELS):
        labels, count = candidates(found, limits)
        table = measure(labels, count, views.here, views.one, views.other, found.unrest, context, 2**level)
        wanted = dirt_odds(table) > limits.odds
        wanted[0] = False
        seek(table, labels, wanted, views.here, views.one, views.other)
        levels.append((labels, table))
        if min(views.here.shape) < 48 or level == LEVELS - 1:
            break
        views = views.halved()
        found = spikes(views)
    return levels


def _mostly(labels: Labels, count: int, mask: Mask) -> npt.NDArray[np.bool_]:
    """(count,): which patches of a reduced picture a mask of full size, rim included, covers a third of, or more."""
    if not mask.any():
        return np.zeros(count, bool)
    wider = cv2.dilate(mask.astype(np.float32), _SQUARE)
    covered = cv2.resize(wider, labels.shape[::-1], interpolation=cv2.INTER_AREA)
    areas = np.bincount(labels.ravel(), minlength=count)
    return np.asarray(np.bincount(labels.ravel(), covered.ravel(), count) > areas / 3, bool)


def patches(views: Views, found: Spikes, limits: Limits, context: Context) -> Mask:
    """Where dirt lies; `found` are the spikes of `views`."""
    result = np.zeros(views.here.shape, bool)
    lively = result
    for level, (labels, table) in enumerate(candidate_levels(views, found, limits, context)):
        if len(table) == 1:
            continue
        company = np.exp(table[:, FEATURES.index("company")])
        odds = dirt_odds(table)
        odds[0] = -np.inf
        dirt = (odds > limits.odds) & (company <= limits.company + 0.001)
        if not level:
            alive = falling(labels, odds > limits.odds - _DOUBT, found.difference)
            alive |= displaced(labels, dirt, found.difference, views.here)
            lively = np.take(alive, labels)
        else:
            alive = _mostly(labels, len(table), lively)
        dirt &= ~alive
        if not dirt.any():
            continue
        where = np.take(dirt, labels)
        if where.shape != result.shape:
            size = result.shape[::-1]
            where = cv2.resize(where.view(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
        result |= where
    return result
