"""A face that OpenCV's cascades take for one, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from restore.faces.track import Track
from restore.stages.reage.alignment import USUAL
from restore.stages.reage.analysis import path_of

Picture = npt.NDArray[np.uint8]
SIZE = (240, 320)


def draw_face(picture: Picture, x: float, y: float, width: float) -> None:
    """Draw a face whose box is about `width` wide around (x, y) into an (H, W, 3) picture."""

    def at(across: float, down: float) -> tuple[int, int]:
        return round((x + across * width) * 16), round((y + down * width) * 16)

    def oval(across: float, down: float, wide: float, tall: float, shade: int) -> None:
        axes = (round(wide * width * 16), round(tall * width * 16))
        cv2.ellipse(picture, at(across, down), axes, 0, 0, 360, (shade,) * 3, -1, cv2.LINE_AA, 4)

    oval(0, -0.05, 0.50, 0.66, 60)  # hair
    oval(0, 0.05, 0.42, 0.55, 190)
    for side in (-1, 1):
        oval(0.19 * side, -0.20, 0.13, 0.025, 60)  # brow
        oval(0.19 * side, -0.10, 0.11, 0.055, 110)
        oval(0.19 * side, -0.10, 0.08, 0.040, 215)
        oval(0.19 * side, -0.10, 0.04, 0.040, 25)
        oval(0.06 * side, 0.14, 0.03, 0.02, 110)  # nostril
    oval(0, 0.02, 0.035, 0.12, 210)
    oval(0, 0.29, 0.15, 0.035, 95)


def still(places: list[tuple[float, float, float]], seed: int = 0, backdrop: int = 130) -> Picture:
    """(240, 320, 3) with faces at (x, y, width), softened, and a little grain."""
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    plain = backdrop + 12 * np.sin(rows / 23) + 9 * np.cos(columns / 31)
    picture = np.repeat(plain[..., None], 3, axis=2).astype(np.uint8)
    for x, y, width in places:
        draw_face(picture, x, y, width)
    soft = cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float64)
    noise = np.random.default_rng(seed).normal(0, 2, SIZE)[..., None]
    return np.asarray(np.clip(soft + noise, 0, 255), np.uint8)


def face_track(places: Sequence[tuple[float, float]], eye_distance: float, start: int = 0) -> Track:
    """A face seen well in every frame, the point between its eyes at these places."""
    middles, count = np.asarray(places, float), len(places)
    ones = np.ones(count)
    points = middles[:, None] + USUAL * eye_distance
    corner = middles - np.array((1.3, 1.05)) * eye_distance
    boxes = np.concatenate((corner, np.full((count, 2), 2.63 * eye_distance)), 1)
    return Track(start, boxes, points, ones, ones, ones, count)


def face_plan(places: Sequence[tuple[float, float]], eye_distance: float, size: tuple[int, int]) -> dict[str, Any]:
    """What `reage` finds in a shot of such a face: values and arrays. Frame n has the pts n."""
    track, count = face_track(places, eye_distance), len(places)
    path = path_of(track, count)
    path[:, 0] = 1.0
    face = {"frames": [0, count], "width": 2.63 * eye_distance, "quality": 1.0, "found in": count, "identity": None}
    arrays = {"pts": np.arange(count), "face-0": path}
    return {"length": count, "size": list(size), "zero": 0, "faces": [face], "arrays": arrays}
