"""Colours followed along a shot: what a moving camera loses is found again."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from restore.stages.colorize.follow import Anchor, Follower, layers_of

WIDTH, HEIGHT = 192, 144
Plane = npt.NDArray[np.float32]


def similar(size: float, turn: float, right: float, down: float) -> npt.NDArray[np.float32]:
    """(H, W, 2): where a turn, a change of size and a shift take each place."""
    x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    cosine, sine = size * np.cos(turn), size * np.sin(turn)
    return np.dstack((cosine * x - sine * y + right - x, sine * x + cosine * y + down - y)).astype(np.float32)


def test_layers_are_the_movements_that_places_share() -> None:
    behind, front = similar(0.9, 0.03, 8, 5), similar(1.1, 0, -12, 3)
    way = behind.copy()
    way[30:100, 20:80] = front[30:100, 20:80]
    difference = np.full((HEIGHT, WIDTH), 1, np.float32)
    way[:, 150:] = np.random.default_rng(1).normal(0, 30, way[:, 150:].shape)
    difference[:, 150:] = 40  # lost there
    first, second = layers_of(way, difference)[:2]
    assert np.abs(first - behind).max() < 0.5, "for the whole picture, also where the way was lost"
    assert np.abs(second - front).max() < 0.5
    assert layers_of(way, np.full((HEIGHT, WIDTH), 40, np.float32)) == [], "nobody has a say"


def _wall() -> tuple[Plane, Plane]:
    """Luma and colours of a wall that is larger than the picture."""
    rng = np.random.default_rng(3)
    size = (2 * WIDTH, 2 * HEIGHT)
    luma = cv2.resize(rng.uniform(30, 220, (72, 96)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    paint = cv2.resize(rng.uniform(-0.2, 0.2, (8, 10, 2)).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return luma, paint


def test_what_was_covered_while_the_camera_zooms_gets_its_colours_back() -> None:
    luma, paint = _wall()
    follower = None
    for number in range(16):
        size = 1.25 + 0.025 * number
        matrix = np.array(((size, 0, WIDTH / 2 - size * WIDTH), (0, size, HEIGHT / 2 - size * HEIGHT)))
        picture = cv2.warpAffine(luma, matrix, (WIDTH, HEIGHT))
        true = cv2.warpAffine(paint, matrix, (WIDTH, HEIGHT))
        if 2 < number < 11:  # somebody stands in the way
            picture[:, 20:90] = 60 + 6 * np.random.default_rng(7).normal(size=(HEIGHT, 70))
        eight = np.clip(picture, 0, 255).astype(np.uint8)
        if follower is None:
            follower = Follower(Anchor(eight, true, np.ones((HEIGHT, WIDTH), np.float32)))
        else:
            follower.step(eight)
    assert follower is not None
    inside = np.s_[10:-10, 25:85]
    assert np.abs(follower.paint - true)[inside].mean() < 0.15 * np.abs(true)[inside].mean()
    assert follower.trust[inside].mean() > 0.8
