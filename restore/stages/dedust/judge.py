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

FEATURES = ("contrast", "ring", "ring split", "split", "unrest", "company", "area", "unsteady", "speed")
"""Natural logarithms of: the patch's mean difference from its neighbours; how badly the ring around it is predicted,
and how much the two neighbours differ there and inside, each as a share of that difference; the difference as a
multiple of the unrest around; the share of spikes around, in the frames before and after; the area in pixels of full
size; by how many pixels a frame (of the reduced picture) the motion there changes; how fast it is."""

WEIGHTS = (
    *(-0.1687, -1.6771, -0.6190, -1.0231, 1.9474, -0.8563, 0.9827, 0.0854, -0.2944),
    *(-0.2960, -0.0130, -0.1669, -0.0803, -0.1100, 0.1108, -0.0745, 0.0037, -0.0542),  # of the squares
)
OFFSET = -16.881


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the surroundings of every pixel, at a reduced size."""

    company: Plane
    """The share of spikes around, in the frames before and after."""
    unsteady: Plane
    """Change of the motion from frame to frame, in pixels: large where something is covered or the flow is wrong."""
    speed: Plane
    """Pixels a frame."""

    def resized(self, size: tuple[int, int]) -> tuple[Plane, Plane, Plane]:
        """All three, for a picture of (width, height)."""
        company, unsteady, speed = (
            np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.float32)
            for plane in (self.company, self.unsteady, self.speed)
        )
        return company, unsteady, speed


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
    ring = cv2.dilate(labels.astype(np.float32), np.ones((7, 7), np.uint8)).astype(np.int32)
    ring[cv2.dilate((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = 0
    on_patch, on_ring = np.flatnonzero(labels), np.flatnonzero(ring)
    to_one, to_other = np.abs(here - one), np.abs(here - other)

    def mean(plane: Plane, where: npt.NDArray[np.intp], owners: Labels) -> Table:
        total = np.bincount(owners.ravel()[where], plane.ravel()[where].astype(np.float64), count)
        area = np.maximum(np.bincount(owners.ravel()[where], minlength=count), 1)
        return np.asarray(total / area, np.float64)

    company, unsteady, speed = context.resized(labels.shape[::-1])
    contrast = np.maximum(mean(np.minimum(to_one, to_other), on_patch, labels), 1e-4)
    split = np.abs(one - other)
    area = np.maximum(np.bincount(labels.ravel()[on_patch], minlength=count), 1) * float(scale * scale)
    columns = (
        contrast,
        mean(np.maximum(to_one, to_other), on_ring, ring) / contrast + 0.02,
        mean(split, on_ring, ring) / contrast + 0.02,
        mean(split, on_patch, labels) / contrast + 0.02,
        contrast / (mean(unrest, on_patch, labels) + 0.004),
        mean(company, on_patch, labels) + 0.001,
        area,
        mean(unsteady, on_patch, labels) + 0.05,
        mean(speed, on_patch, labels) + 0.2,
    )
    return np.asarray(np.log(np.stack(columns, axis=1)), np.float64)


def dirt_odds(features: Table) -> Table:
    """(count,): logarithm of the odds that each patch is dirt."""
    return np.asarray(expanded(features) @ np.asarray(WEIGHTS) + OFFSET)


def expanded(features: Table) -> Table:
    """The features and their squares: what the weights are for."""
    return np.concatenate((features, features**2), axis=1)
