"""What re-ageing does to a face besides its age: texture, identity, steadiness. All relative to the eye distance."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from restore.analysis.flow import enlarged, flow_between, moved, reduced_luma, reduction
from restore.stages.reage.alignment import Framing, cropped, inverse, matrix_of, similarities

Array = npt.NDArray[np.float64]
Plane = npt.NDArray[np.float32]

FINEST = 0.01
"""Sigma in eye distances under which lies the finest band: pores; a pixel at least."""
_TONES = 0.2
"""Luma away from the usual that is skin no more: hair, spectacles, glints."""
TRIANGLE = ((-0.85, -0.35), (0.85, -0.35), (0.45, 1.35), (-0.45, 1.35))
"""Eye distances from between the eyes: eyes, nose and mouth."""
_UNIT = 64
"""Pixels of an eye distance where identity is compared."""
_FRAMING = Framing(eyes=0.4, distance=0.25)


def luma(picture: Tensor) -> Plane:
    """(H, W) of (3, H, W), BT.709's weights."""
    weights = torch.tensor((0.2126, 0.7152, 0.0722))
    return np.ascontiguousarray(torch.einsum("c,chw->hw", weights, picture.float()).numpy())


def face_units(points: Array, height: int, width: int) -> tuple[Plane, Plane, float]:
    """x and y (H, W) of a picture's pixels in eye distances from between the eyes, and pixels of an eye distance."""
    middle_x, middle_y, cosine, sine = similarities(points[None])[0]
    unit = float(np.hypot(cosine, sine))
    x, y = np.meshgrid(np.arange(width) - middle_x, np.arange(height) - middle_y)
    return (
        np.asarray((x * cosine + y * sine) / unit**2, np.float32),
        np.asarray((y * cosine - x * sine) / unit**2, np.float32),
        unit,
    )


def skin(picture: Tensor, points: Array) -> npt.NDArray[np.bool_]:
    """(H, W): forehead, cheeks, nose's bridge and chin, without eyes, brows, nostrils, mouth, and what is not of the
    skin's tone."""
    x, y, _ = face_units(points, *picture.shape[1:])

    def oval(across: float, down: float, wide: float, tall: float) -> npt.NDArray[np.bool_]:
        return np.asarray(((x - across) / wide) ** 2 + ((y - down) / tall) ** 2 < 1)

    inside = oval(0, 0.42, 0.92, 1.25)
    for part in ((-0.5, -0.1, 0.42, 0.34), (0.5, -0.1, 0.42, 0.34), (0, 0.66, 0.3, 0.14), (0, 1.10, 0.55, 0.24)):
        inside &= ~oval(*part)
    plane = cv2.GaussianBlur(luma(picture), (0, 0), 2)
    return np.asarray(inside & (np.abs(plane - np.median(plane[inside])) < _TONES))


def finest_band(picture: Tensor, unit: float) -> Plane:
    """(H, W): what of luma is finer than `FINEST`."""
    plane = luma(picture)
    return plane - np.asarray(cv2.GaussianBlur(plane, (0, 0), max(1.0, FINEST * unit)), np.float32)


def texture_kept(before: Tensor, after: Tensor, points: Array) -> float:
    """Energy of the finest band of the skin, share of what it was."""
    where = skin(before, points)
    unit = float(np.hypot(*similarities(points[None])[0, 2:]))
    power = [float(np.square(finest_band(picture, unit)[where]).mean()) for picture in (before, after)]
    return power[1] / max(power[0], 1e-12)


def amount_at_texture(before: Tensor, delta: Tensor, points: Array, wanted: float) -> float:
    """How much of a delta leaves that share of the finest band's energy: the amount nearest to nothing.

    The band is linear, so its energy is a parabola over the amount; where that never comes so low, its lowest point.
    """
    where, unit = skin(before, points), float(np.hypot(*similarities(points[None])[0, 2:]))
    was, added = (finest_band(picture, unit)[where].astype(np.float64) for picture in (before, delta))
    level = float((was**2).sum())
    slope, bend = 2 * float((was * added).sum()) / level, float((added**2).sum()) / level
    if bend < 1e-9:
        return 0.0
    under = slope**2 - 4 * bend * (1 - wanted)
    if under < 0:
        return -slope / (2 * bend)
    return min(((-slope + sign * under**0.5) / (2 * bend) for sign in (-1, 1)), key=abs)


def identity(before: Tensor, after: Tensor, points: Array) -> float:
    """Structural similarity (Wang and others 2004) of luma of the aligned face, within `TRIANGLE`."""
    side = round(_UNIT / _FRAMING.distance)
    matrix = matrix_of(similarities(points[None])[0], side, _FRAMING)
    first, second = (luma(cropped(picture.clamp(0, 1), matrix, side)) for picture in (before, after))
    _, each = structural_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    corners = np.array(TRIANGLE) * _UNIT + np.array((0.5, _FRAMING.eyes)) * side
    where = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(where, corners.round().astype(np.int32), 1)
    return float(each[where > 0].mean())


def change_along_motion(
    before: tuple[Tensor, Tensor], deltas: tuple[Tensor, Tensor], where: npt.NDArray[np.bool_]
) -> float:
    """Mean difference, of 255, of a delta and the one a frame earlier brought along the film's motion, within `where`.

    `before` and `deltas`: the earlier frame's and this one's.
    """
    lumas = [luma(picture) for picture in before]
    height, width = lumas[0].shape
    small = [reduced_luma(plane, reduction(height, width)) for plane in lumas]
    field = enlarged(flow_between(small[1], small[0], fine=True), height, width)
    earlier, now = (np.ascontiguousarray(delta.permute(1, 2, 0).numpy()) for delta in deltas)
    return float(np.abs(moved(earlier, field) - now)[where].mean() * 255)


def points_in_source(points: Array, matrix: Array) -> Array:
    """(5, 2) pixels of a picture in pixels of a crop."""
    back = inverse(matrix)
    return np.asarray(points @ back[:, :2].T + back[:, 2])
