"""A face that OpenCV's cascades take for one, drawn."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

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
