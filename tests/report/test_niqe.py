"""NIQE knows a good picture from a spoilt one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from restore.report.niqe import niqe

PHOTO = Path(__file__).parents[2] / "samples" / "photo_clean.jpg"


def test_the_worse_a_picture_the_higher() -> None:
    picture = cv2.imread(str(PHOTO), cv2.IMREAD_GRAYSCALE).astype(np.float32)
    random = np.random.default_rng(1)
    soft = [picture, *(np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32) for sigma in (1.5, 4))]
    noisy = [
        picture,
        *((picture + random.normal(0, s, picture.shape)).clip(0, 255).astype(np.float32) for s in (8, 30)),
    ]
    for spoilt in (soft, noisy):
        values = [niqe(one) for one in spoilt]
        assert None not in values
        assert values == sorted(values)
        assert values[2] > 1.5 * values[0]
    assert niqe(picture) < 6


def test_what_says_nothing() -> None:
    assert niqe(np.zeros((100, 300), np.float32)) is None
    assert niqe(np.full((300, 300), 128, np.float32)) is None
