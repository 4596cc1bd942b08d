"""Detectors: leaning heads with Haar, the networks on real footage, files that are not what they say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from material.faces import still

from restore.errors import WeightsError
from restore.faces.detect import choose_detector, overlap
from restore.faces.gallery import Gallery
from restore.faces.haar import HaarDetector
from restore.faces.track import ShotTracker, Track
from restore.frames import ColorInfo, PixelFormat, VideoFormat

MATERIAL = Path(os.environ.get("RESTORE_TEST_MATERIAL", Path(__file__).parents[3] / "shared" / "test"))
needs_material = pytest.mark.skipif(not MATERIAL.is_dir(), reason="no test material (RESTORE_TEST_MATERIAL)")


def leaning(degrees: float, seed: int = 0) -> np.ndarray:
    turn = cv2.getRotationMatrix2D((160, 120), degrees, 1.0)
    return cv2.warpAffine(still([(160, 120, 90)], seed), turn, (320, 240), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("degrees", [-35.0, -22.0, 22.0, 35.0])
def test_haar_sees_a_head_that_leans_where_it_is_expected(degrees: float) -> None:
    expected = np.array((112.0, 75.0, 96.0, 96.0))
    detector = HaarDetector()
    [face] = detector.find(leaning(degrees), [expected], only_expected=True)
    assert overlap(face.box, expected) > 0.6
    eyes = face.points[1] - face.points[0]
    if face.measured:
        assert np.degrees(np.arctan2(-eyes[1], eyes[0])) == pytest.approx(degrees, abs=9)
    assert detector.find(leaning(degrees), [np.array((10.0, 10.0, 60.0, 60.0))], only_expected=True) == []


def test_a_head_that_leans_for_a_while_stays_one_track() -> None:
    tracker = ShotTracker(HaarDetector(), 0, np.ones(2))
    for n, degrees in enumerate([*range(0, 40, 2), *range(40, 0, -2)]):
        tracker.add(np.asarray(leaning(degrees, n), np.uint8))
    [track] = tracker.finish()
    assert len(track) == 40
    assert track.seen >= 11  # of 14 looks: it is found, not only carried


def frames(name: str, count: int) -> Iterator[np.ndarray]:
    with av.open(str(MATERIAL / "video" / name)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= count:
                return
            picture = frame.to_ndarray(format="rgb24")
            scale = min(1.0, 640 / max(picture.shape[:2]))
            yield cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


@needs_material
@pytest.mark.parametrize("weights", ["yunet_n_640_640.onnx", "retinaface_mobilenet0.25.pth"])
def test_networks_follow_real_faces(weights: str) -> None:
    if weights.endswith(".pth"):
        pytest.importorskip("facexlib", reason="facexlib is not installed (extra: faces)")
    detector = choose_detector(str(MATERIAL / "weights" / weights))
    haar = HaarDetector()
    for name in ("damaged_drama_24f.mkv", "asl/book.mkv", "carphone_pristine.mp4"):
        trackers = [ShotTracker(one, 0, np.ones(2)) for one in (detector, haar)]
        for picture in frames(name, 12):
            for tracker in trackers:
                tracker.add(np.ascontiguousarray(picture))
        [track], [other] = (tracker.finish() for tracker in trackers)
        assert len(track) == 12, name
        middles = [one.boxes[:, :2] + one.boxes[:, 2:] / 2 for one in (track, other)]
        away = np.abs(middles[0] - middles[1]).max() / track.boxes[:, 2].mean()
        assert away < 0.3, f"{name}: {detector.name} and haar differ by {away:.2f} widths"
        eyes = track.points[:, 1] - track.points[:, 0]
        assert (eyes[:, 0] > 0.25 * track.boxes[:, 2]).all(), "five points in their order"


@needs_material
def test_files_that_are_not_the_detector_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WeightsError, match=r"is not RetinaFace mobile 0\.25.*wrong boxes"):
        choose_detector(str(MATERIAL / "weights" / "trap_mobilenet0.25_Final.pth"))
    with pytest.raises(WeightsError, match="it is realesr-animevideov3"):
        choose_detector(str(MATERIAL / "weights" / "realesr-animevideov3.pth"))
    with pytest.raises(WeightsError, match=r"YuNet detector \(.{10,}\)"):
        choose_detector(str(MATERIAL / "weights" / "yunet_n_dynamic.onnx"))
    assert "ERROR" not in capfd.readouterr().err


class _Brightness:
    """Faces are told apart by how light they are: enough to see which picture was looked at."""

    name, alike = "brightness", 0.9

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        x, y = points[2].round().astype(int)
        angle = picture[y, x].mean() / 255 * np.pi / 2
        return np.array((np.cos(angle), np.sin(angle)))


def test_a_gallery_keeps_few_pictures_and_looks_at_the_best() -> None:
    format = VideoFormat(64, 48, PixelFormat("rgb", 8), ColorInfo(), Fraction(1, 25), Fraction(25))
    gallery = Gallery(100)
    for n in range(100, 400):
        if gallery.wants(n):
            gallery.add(n, np.full((48, 128, 3), 255 if n >= 300 else 0, np.uint8), format)  # pixels twice as wide
    assert len(gallery._kept) <= 16
    assert max(gallery._kept) >= 370

    def track(start: int, stop: int) -> Track:
        count = stop - start
        boxes, points = np.tile((40.0, 10, 80, 80), (count, 1)), np.tile((60.0, 20.0), (count, 5, 1))
        ones = np.ones(count)
        return Track(start, boxes, points, ones, ones, ones, count)

    dark, light, nowhere = gallery.vectors([track(100, 300), track(300, 400), track(101, 102)], _Brightness())
    assert dark == pytest.approx((1, 0), abs=1e-6)
    assert light == pytest.approx((0, 1), abs=1e-6)
    assert nowhere is None
