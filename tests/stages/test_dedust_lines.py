"""Lines of a shot: where they are, to a fraction of a pixel, and which of them are scratches; rain is no dirt."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from contract import video_format
from hypothesis import given, settings
from hypothesis import strategies as st

from restore.analysis.flow import Plane
from restore.analysis.ridges import ridges
from restore.frames import Shot
from restore.stages.dedust.analysis import ScratchAnalyzer
from restore.stages.dedust.judge import Labels
from restore.stages.dedust.lively import displaced, falling
from restore.stages.dedust.scratches import Line

WIDTH, HEIGHT = 200, 240


def streaky(seed: int = 1) -> Plane:
    """(H, W): a picture of soft shapes, light and dark down every column."""
    random = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(random.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 14)
    return np.asarray(0.5 + 0.12 * wide / wide.std(), np.float32)


def profile(x: float, sigma: float) -> Plane:
    """(W,): a line across, 1 at its middle."""
    return np.exp(-((np.arange(WIDTH, dtype=np.float32) - np.float32(x)) ** 2) / np.float32(2 * sigma**2))


@settings(max_examples=12, deadline=None)
@given(x=st.floats(60, 140), sigma=st.floats(0.6, 0.9), tone=st.sampled_from((-0.3, -0.1, 0.1, 0.3)))
def test_a_line_is_found_to_a_twentieth_of_a_pixel(x: float, sigma: float, tone: float) -> None:
    picture = np.full((HEIGHT, WIDTH), 0.5, np.float32) + np.linspace(0, 0.1, WIDTH, dtype=np.float32)
    found = ridges(np.asarray(picture + tone * profile(x, sigma), np.float32))
    assert len(found) == 1
    assert found[0].sign == np.sign(tone)
    assert abs(found[0].x - x).max() < 0.05


def lines_of(pictures: list[Plane], first: int = 0) -> list[Line]:
    analyzer = ScratchAnalyzer()
    analyzer.begin(Shot(0, 0, len(pictures)), video_format("gray", WIDTH, HEIGHT))
    for pts, picture in enumerate(pictures, first):
        analyzer.see(picture, pts)
    return [Line.parse(line) for line in analyzer.finish()["lines"]]


@pytest.mark.parametrize("opaque", [False, True])
def test_what_the_scene_shows_through_need_hardly_move(opaque: bool) -> None:
    """A scratch adds to the picture; a wire before it hides it. Neither reaches the edges, both move by a tenth."""
    random = np.random.default_rng(5)
    pictures = []
    for _ in range(10):
        picture = streaky() + random.normal(0, 0.004, (HEIGHT, WIDTH)).astype(np.float32)
        line = profile(90 + random.normal(0, 0.07), 0.8)
        layer = line * (0.9 - picture) if opaque else line * 0.25
        picture[8:-8] += layer[8:-8] if opaque else layer
        pictures.append(np.asarray(picture, np.float32))
    assert len(lines_of(pictures)) == (0 if opaque else 1)


def test_a_groove_in_a_wall_that_the_light_falls_on_stays() -> None:
    """It is darker by a share of what is beside it, from top to bottom."""
    random = np.random.default_rng(6)
    wall = np.repeat(np.linspace(0.2, 0.8, HEIGHT, dtype=np.float32)[:, None], WIDTH, 1) * (1 - 0.3 * profile(90, 0.8))
    pictures = [np.asarray(wall + random.normal(0, 0.004, wall.shape), np.float32) for _ in range(10)]
    assert lines_of(pictures) == []


def test_a_line_that_stands_still_while_the_scene_weaves_is_a_scratch() -> None:
    random = np.random.default_rng(7)
    scene = streaky(2) + 0.1 * cv2.GaussianBlur(random.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.2)
    pictures = []
    for _ in range(12):
        x, y = random.normal(0, 0.7, 2)
        matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
        moved = cv2.warpAffine(scene, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        pictures.append(np.asarray(moved + 0.3 * profile(90, 0.8), np.float32))
    assert len(lines_of(pictures)) == 1


@pytest.mark.parametrize("there", [True, False])
def test_a_scratch_that_another_hides_is_looked_for_where_it_was(there: bool) -> None:
    """On two frames at each end, a stronger line stands so near that only one of both is found."""
    random = np.random.default_rng(8)
    pictures = []
    for number in range(14):
        picture = streaky() + random.normal(0, 0.004, (HEIGHT, WIDTH)).astype(np.float32)
        x = 90 + random.normal(0, 0.4)
        hidden = not 2 <= number < 12
        if there or not hidden:
            picture += 0.2 * profile(x, 0.8)
        if hidden:
            picture += 0.4 * profile(x + 5, 0.8)
        pictures.append(np.asarray(picture, np.float32))
    (line,) = lines_of(pictures, first=100)
    assert (line.path[0][0], line.path[-1][0]) == ((100, 113) if there else (102, 111))


def drawn_streaks(angles: list[float], length: int = 9) -> tuple[Labels, Plane]:
    """Labels of short lines at these angles in degrees from upright, and a picture of how much lighter they are."""
    labels = np.zeros((160, 160), np.int32)
    for number, angle in enumerate(angles, 1):
        x, y = 12 + 16 * ((number - 1) % 9), 14 + 18 * ((number - 1) // 9)
        over, down = length / 2 * np.sin(np.radians(angle)), length / 2 * np.cos(np.radians(angle))
        ends = [(round(x + side * over), round(y + side * down)) for side in (-1, 1)]
        cv2.line(labels, *ends, number)
    return labels, np.asarray(labels > 0, np.float32) * 0.2


def test_streaks_that_all_fall_one_way_are_rain() -> None:
    random = np.random.default_rng(9)
    for angles, rains in ((random.normal(12, 4, 40), True), (random.uniform(0, 180, 40), False), ([12.0] * 6, False)):
        labels, lighter = drawn_streaks(list(angles))
        dirt = np.ones(labels.max() + 1, bool)
        dirt[0] = False
        assert bool(falling(labels, dirt, lighter)[1:].all()) == rains
        assert bool(falling(labels, dirt, lighter).any()) == rains


def test_pieces_of_scratches_are_no_rain() -> None:
    labels = np.zeros((480, 200), np.int32)
    for number in range(40):
        labels[10 + 22 * (number // 2) : 24 + 22 * (number // 2), 60 + 80 * (number % 2)] = number + 1
    dirt = np.ones(41, bool)
    dirt[0] = False
    assert not falling(labels, dirt, np.asarray(labels > 0, np.float32) * 0.2).any()


def test_dark_dirt_among_bright_drops_is_still_dirt() -> None:
    labels, lighter = drawn_streaks([10.0] * 30)
    labels[150:154, 150:154] = 31
    lighter[150:154, 150:154] = -0.2
    dirt = np.ones(32, bool)
    dirt[0] = False
    found = falling(labels, dirt, lighter)
    assert found[1:31].all()
    assert not found[31]


def test_what_moves_for_a_frame_is_no_dirt() -> None:
    """A lid that closes is dark where it comes to, and light where it was; a blotch is only dark, and one on an edge is
    as dark all over, lighter than one side and darker than the other."""
    labels = np.zeros((480, 200), np.int32)
    labels[100:105, 40:56], labels[300:305, 40:56], labels[400:405, 40:56] = 1, 2, 3
    lighter = -0.15 * (labels > 0).astype(np.float32)
    lighter[94:99, 40:56] = lighter[394:399, 40:56] = 0.12
    here = np.full(labels.shape, 0.5, np.float32)
    here[100:105], here[94:99] = 0.3, 0.6
    found = displaced(labels, np.array([False, True, True, True]), lighter, here)
    assert found.tolist() == [False, True, False, False]
