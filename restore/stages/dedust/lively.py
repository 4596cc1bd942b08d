"""What is there in one frame and gone in the next, and yet is no dirt: rain, and what moves for a frame, as lids do.

Drops are many, they are alike, and all of them are drawn out in one direction; dirt lies as it fell (Garg and Nayar,
"Vision and rain", Int. J. Computer Vision 2007, on how drops look to a camera). What moved is missing where it was:
next to a patch that is darker than in both neighbours lies one that is lighter. Dirt leaves no such gap.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Plane
from restore.stages.dedust.judge import Labels, boxes

Flags = npt.NDArray[np.bool_]

_MANY = 10
"""So many streaks at least, side by side, make rain; a scratch falls to pieces that are one below the other,"""
_BESIDE = 6
"""and less than so many pixels apart, in a picture of 480 lines;"""
_SHARE = 0.35
"""and such a share of the patches that are as light or as dark."""
_DRAWN_OUT = 2.0
"""A streak is so many times as long as wide (standard deviations),"""
_LEAST = 4
"""and has so many pixels."""
_TOGETHER = 0.75
"""Length of the mean of their directions (doubled angles, as unit vectors): 1 if all are the same."""
_ASIDE = 0.5
"""Cosine of the doubled angle up to which a streak falls with the others (30 degrees),"""
_LARGEST = 4.0
"""and how many times as large as a usual streak a drop that is none may be."""

_GAP = 0.3
"""What is missing around a patch, as a share of it, from which on it has only moved;"""
_GAP_LEAST = 0.02
"""differences up to this are none,"""
_GAP_AREA = 40
"""and a patch has at least so many pixels in a picture of 480 lines: small dirt lies close to other dirt at times."""
_GAP_REACH = 10
"""How far it may have moved, in pixels of such a picture."""
_GAP_OWN = 0.5
"""As much is missing further away, as a share of that, where the gap is another thing's, or everything moves."""
_GAP_UNLIKE = 0.25
"""What moved is lighter, or darker, than what it left bare, by so much of the patch's own difference. Dirt on an edge
is lighter than one side and darker than the other, too, but there the side that it darkens is the lighter one."""


def displaced(labels: Labels, dirt: Flags, difference: Plane, here: Plane) -> Flags:
    """(count,): which of the patches that were taken for dirt only moved; arguments as for `falling`, and the frame."""
    result = np.zeros(len(dirt), bool)
    unit = labels.shape[0] / 480
    areas = np.bincount(labels.ravel(), minlength=len(dirt))
    reach = max(2, round(_GAP_REACH * unit))
    rings = [cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * far + 1, 2 * far + 1)) for far in (reach, 2 * reach)]
    wanted = dirt & (areas >= _GAP_AREA * unit * unit)
    found = boxes(np.where(wanted[labels], labels, 0)) if wanted.any() else {}
    for label, (rows, columns) in found.items():
        box = tuple(slice(max(0, axis.start - 2 * reach), axis.stop + 2 * reach) for axis in (rows, columns))
        patch = labels[box] == label
        near, far = (cv2.dilate(patch.view(np.uint8), ring) > 0 for ring in rings)
        far &= ~near
        near &= ~patch
        own = float(difference[box][patch].mean(dtype=np.float64))
        lacking = np.maximum(-np.sign(own) * difference[box] - _GAP_LEAST, 0).astype(np.float64)
        gap = lacking * near
        missing = float(gap.sum())
        beyond = float(lacking[far].sum()) / max(1, int(far.sum()))
        if missing <= _GAP * abs(own) * patch.sum() or beyond > _GAP_OWN * missing / max(1, int(near.sum())):
            continue
        unlike = float(here[box][patch].mean(dtype=np.float64)) - float((here[box] * gap).sum()) / missing
        result[label] = np.sign(own) * unlike > _GAP_UNLIKE * abs(own)
    return result


def falling(labels: Labels, dirt: Flags, difference: Plane) -> Flags:
    """(count,): which of the patches that were taken for dirt are rain.

    Args:
        labels: (H, W), 0 where there is no patch.
        dirt: (count,), which were taken for dirt.
        difference: (H, W), by how much the frame is lighter than its neighbours.
    """
    result = np.zeros(len(dirt), bool)
    if dirt.sum() < _MANY:
        return result
    rows, columns = np.nonzero(np.take(dirt, labels))
    owners = labels[rows, columns]

    def total(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        return np.asarray(np.bincount(owners, np.asarray(values, np.float64), len(dirt)), np.float64)

    area = total(np.ones(len(rows)))
    many = np.maximum(area, 1)
    y, x = total(rows) / many, total(columns) / many
    down, across = rows - y[owners], columns - x[owners]
    tall, wide, both = (total(one) / many for one in (down**2, across**2, down * across))
    apart = np.hypot(tall - wide, 2 * both)
    long, short = (tall + wide + apart) / 2 + 1 / 12, np.maximum(tall + wide - apart, 0) / 2 + 1 / 12
    streak = dirt & (area >= _LEAST) & (long > _DRAWN_OUT**2 * short)
    direction = np.stack((wide - tall, 2 * both), axis=1) / np.maximum(apart, 1e-9)[:, None]
    light = total(difference[rows, columns]) > 0
    for same in (dirt & light, dirt & ~light):
        streaks = same & streak
        if streaks.sum() < max(_MANY, _SHARE * same.sum()):
            continue
        mean = direction[streaks].mean(0)
        together = float(np.hypot(*mean))
        if together < _TOGETHER:
            continue
        # The direction is that of a doubled angle; across it lie (cos, sin) of half of it, turned.
        angle = np.arctan2(mean[1], mean[0]) / 2
        across_it = (y[streaks] * np.cos(angle) - x[streaks] * np.sin(angle)) * 480 / labels.shape[0]
        if len(np.unique(np.round(across_it / _BESIDE))) < _MANY:
            continue
        along = direction @ (mean / together) > _ASIDE
        alike = ~streak & (area <= _LARGEST * np.median(area[streaks]))
        result |= same & ((streak & along) | alike)
    return result
