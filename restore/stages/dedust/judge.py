"""Whether a patch that sticks out of its neighbours is dirt: a logistic judgement over what can be measured of it.

Dirt lies in a picture that is otherwise predicted, and where it lies the neighbours agree; things that move are
surrounded by more of the same. `scripts/fit_dedust.py` fitted the weights to synthetic dirt over real clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Plane

Labels = npt.NDArray[np.int32]
Table = npt.NDArray[np.float64]
Box = tuple[slice, slice]

FEATURES = (
    *("contrast", "ring", "ring split", "split", "unrest", "company", "area", "unsteady", "speed"),
    *("texture", "elsewhere"),
)
"""Natural logarithms of: the patch's mean difference from its neighbours; how badly the ring around it is predicted,
and how much the two neighbours differ there and inside, each as a share of that difference; the difference as a
multiple of the unrest around; the share of spikes around, in the frames before and after; the area in pixels of full
size; by how many pixels a frame (of the reduced picture) the motion there changes; how fast it is; how rough the ring
is; and how much the patch differs from what is most like it near by in the neighbours, both as shares of the
difference: what only moves otherwise than was thought is there too."""

# fmt: off
MEANS = (
    -2.377, -1.111, -1.295, -1.554, 1.044, -6.385, 1.834, -0.981, 0.023, -1.158, 0.394,
)
DEVIATIONS = (
    0.571, 0.935, 0.947, 1.040, 0.674, 0.976, 1.145, 0.881, 1.056, 1.009, 0.401,
)
"""Of the features over all patches it was fitted to."""

WEIGHTS = (
    0.188, -0.950, -0.095, -0.774, 1.446, -1.195, 0.623, -0.081, 0.116, -0.797, 0.007,
    -0.325, -0.304, -0.077, -0.173, -0.312, 0.116, 0.019, 0.059, 0.155, 0.171, -0.384,
    0.052, -0.322, -0.193, -0.302, 0.120, -0.199, 0.018, 0.296, 0.178, -0.182, -0.193,
    0.258, 0.180, 0.243, -0.068, -0.131, 0.034, -0.161, 0.263, 0.370, -0.001, 0.080,
    0.119, 0.075, 0.344, 0.154, 0.332, -0.123, -0.061, -0.631, -0.023, -0.134, -0.044,
    -0.024, -0.447, -0.357, -0.076, -0.059, -0.154, -0.102, -0.426, 0.121, 0.063, 0.290,
    -0.011, -0.171, -0.195, 0.059, 0.135, -0.072, -0.058, 0.189, -0.190, 0.064, -0.648,
)
# fmt: on
"""Of the standardised features, their squares, and the products of two."""
OFFSET = 0.284


_SQUARE, _RING = np.ones((3, 3), np.uint8), np.ones((7, 7), np.uint8)
_NOWHERE = 1.02
_PATCH = 12
"""Half the side of the largest piece that is sought in the neighbours,"""
_REACH = 6
"""and how far from its place, in pixels."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the surroundings of every pixel, at a reduced size."""

    company: Plane
    """The share of spikes around, in the frames before and after."""
    unsteady: Plane
    """Change of the motion from frame to frame, in pixels: large where something is covered or the flow is wrong."""
    speed: Plane
    """Pixels a frame."""

    def resized(self, size: tuple[int, int]) -> tuple[Plane, ...]:
        """All three, for a picture of (width, height)."""
        planes = (self.company, self.unsteady, self.speed)
        return tuple(np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_LINEAR), np.float32) for one in planes)


def measure(
    labels: Labels, count: int, here: Plane, one: Plane, other: Plane, unrest: Plane, context: Context, scale: int
) -> Table:
    """(count, len(FEATURES)); row 0, what is no patch, means nothing.

    Args:
        labels: (h, w), 0 where there is no patch.
        count: one more than the largest label.
        here, one, other: the frame and its moved neighbours.
        unrest: how badly the neighbours predict the picture around a pixel.
        context: what is known of the surroundings.
        scale: by how much these pictures are reduced.
    """
    if count == 1:
        return np.zeros((1, len(FEATURES)))
    ring = cv2.dilate(labels.astype(np.float32), _RING).astype(np.int32)
    ring *= cv2.dilate((labels > 0).view(np.uint8), _SQUARE) == 0
    on_patch, on_ring = np.flatnonzero(labels > 0), np.flatnonzero(ring > 0)
    of_patch, of_ring = labels.ravel()[on_patch], ring.ravel()[on_ring]

    def mean(values: Plane, owners: Labels) -> Table:
        total = np.bincount(owners, values.astype(np.float64), count)
        return np.asarray(total / np.maximum(np.bincount(owners, minlength=count), 1), np.float64)

    def views_at(where: npt.NDArray[np.intp]) -> list[Plane]:
        first, one_, other_ = (plane.ravel()[where] for plane in (here, one, other))
        return [np.abs(first - one_), np.abs(first - other_), np.abs(one_ - other_)]

    company, unsteady, speed = (plane.ravel()[on_patch] for plane in context.resized(labels.shape[::-1]))
    to_one, to_other, split = views_at(on_patch)
    ring_to_one, ring_to_other, ring_split = views_at(on_ring)
    contrast = np.maximum(mean(np.minimum(to_one, to_other), of_patch), 1e-4)
    area = np.maximum(np.bincount(of_patch, minlength=count), 1) * float(scale * scale)
    columns = (
        contrast,
        mean(np.maximum(ring_to_one, ring_to_other), of_ring) / contrast + 0.02,
        mean(ring_split, of_ring) / contrast + 0.02,
        mean(split, of_patch) / contrast + 0.02,
        contrast / (mean(unrest.ravel()[on_patch], of_patch) + 0.004),
        mean(company, of_patch) + 0.001,
        area,
        mean(unsteady, of_patch) + 0.05,
        mean(speed, of_patch) + 0.2,
        mean(_roughness(one, other).ravel()[on_ring], of_ring) / contrast + 0.02,
        np.full(count, _NOWHERE),
    )
    return np.asarray(np.log(np.stack(columns, axis=1)), np.float64)


def _roughness(one: Plane, other: Plane) -> Plane:
    """How much the mean of two pictures changes from pixel to pixel, across and down together."""
    both = cv2.add(one, other)
    slopes = [cv2.Sobel(both, cv2.CV_32F, *order, scale=1 / 16) for order in ((1, 0), (0, 1))]
    return np.asarray(np.abs(slopes[0]) + np.abs(slopes[1]), np.float32)


def seek(table: Table, labels: Labels, wanted: npt.NDArray[np.bool_], here: Plane, one: Plane, other: Plane) -> None:
    """Look for the wanted patches near by in both neighbours, and write how much they differ there into their rows.

    `measure` takes it that nothing like them is there: what is no dirt even so need not be sought.
    """
    if not wanted.any():
        return
    rows, columns = np.nonzero(wanted[labels])
    owners = labels[rows, columns]
    order = np.argsort(owners, kind="stable")
    rows, columns, owners = rows[order], columns[order], owners[order]
    names, starts = np.unique(owners, return_index=True)
    height, width = labels.shape
    for label, y, x in zip(names, np.split(rows, starts[1:]), np.split(columns, starts[1:]), strict=True):
        at_y, at_x = (int(y.min() + y.max()) // 2, int(x.min() + x.max()) // 2)
        half_y, half_x = (min(_PATCH, int(np.ptp(place)) // 2 + 2) for place in (y, x))
        top, bottom = max(0, at_y - half_y), min(height, at_y + half_y + 1)
        left, right = max(0, at_x - half_x), min(width, at_x + half_x + 1)
        piece = here[top:bottom, left:right]
        where = (slice(max(0, top - _REACH), bottom + _REACH), slice(max(0, left - _REACH), right + _REACH))
        missed = max(float(cv2.matchTemplate(there[where], piece, cv2.TM_SQDIFF).min()) for there in (one, other))
        area = int(((y >= top) & (y < bottom) & (x >= left) & (x < right)).sum())
        contrast = np.exp(table[label, FEATURES.index("contrast")])
        table[label, FEATURES.index("elsewhere")] = np.log(np.sqrt(max(missed, 0.0) / max(1, area)) / contrast + 0.02)


def boxes(labels: Labels) -> dict[int, Box]:
    """The rows and columns that each label but 0 lies in (OpenCV's own take five times as long to find)."""
    where = np.flatnonzero(labels)
    owners = labels.ravel()[where]
    order = np.argsort(owners, kind="stable")
    starts = np.flatnonzero(np.diff(owners[order], prepend=0))
    places = np.divmod(where[order], labels.shape[1])
    ends = [(np.minimum.reduceat(axis, starts), np.maximum.reduceat(axis, starts)) for axis in places]
    return {
        int(label): (slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1))
        for label, top, bottom, left, right in zip(owners[order][starts], *ends[0], *ends[1], strict=True)
    }


def dirt_odds(features: Table) -> Table:
    """(count,): logarithm of the odds that each patch is dirt."""
    return np.asarray(expanded((features - MEANS) / DEVIATIONS) @ np.asarray(WEIGHTS) + OFFSET)


def expanded(standard: Table) -> Table:
    """Standardised features, their squares and their products: what the weights are for."""
    first, second = np.triu_indices(standard.shape[1], 1)
    return np.concatenate((standard, standard**2, standard[:, first] * standard[:, second]), axis=1)
