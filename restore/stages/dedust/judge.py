"""Whether a patch that sticks out of its neighbours is dirt: a logistic judgement over what can be measured of it.

Dirt lies in a picture that is otherwise predicted, and where it lies the neighbours agree; things that move are
surrounded by more of the same. `scripts/fit_dedust.py` fitted the weights to synthetic dirt over real clips.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Plane

Labels = npt.NDArray[np.int32]
Table = npt.NDArray[np.float64]

FEATURES = ("contrast", "ring", "ring split", "split", "unrest", "company", "area")
"""Natural logarithms of: the patch's mean difference from its neighbours; how badly the ring around it is predicted,
and how much the two neighbours differ there and inside, each as a share of that difference; the difference as a
multiple of the unrest around; the share of spikes around, in the frames before and after; the area in pixels of full
size."""

WEIGHTS = (1.261, -1.332, -0.284, -0.756, 1.729, -2.141, 0.647)
OFFSET = -18.005


def measure(
    labels: Labels, count: int, here: Plane, one: Plane, other: Plane, unrest: Plane, company: Plane, scale: int
) -> Table:
    """(count, len(FEATURES)); row 0, what is no patch, means nothing.

    Args:
        labels: (h, w), 0 where there is no patch.
        count: one more than the largest label.
        here, one, other: the frame and its moved neighbours.
        unrest: how badly the neighbours predict the picture around a pixel.
        company: the share of spikes around, before and after.
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
    )
    return np.asarray(np.log(np.stack(columns, axis=1)), np.float64)


def dirt_odds(features: Table) -> Table:
    """(count,): logarithm of the odds that each patch is dirt."""
    return np.asarray(features @ np.asarray(WEIGHTS) + OFFSET)
