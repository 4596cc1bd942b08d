"""Finding faces in single pictures: one interface, several detectors.

Whatever finds them, a face is a box and five points, in the order of YuNet and ArcFace: the eye on the picture's left,
the one on its right, the tip of the nose, the corners of the mouth, left and right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from restore.errors import OptionError, WeightsError

Picture = npt.NDArray[np.uint8]
"""(H, W, 3) RGB."""
Grey = npt.NDArray[np.uint8]
"""(H, W)."""
Array = npt.NDArray[np.float64]

POINTS = ("left eye", "right eye", "nose", "left of mouth", "right of mouth")
"""Left and right as one looks at the picture."""
TEMPLATE = np.array([(0.31, 0.40), (0.69, 0.40), (0.50, 0.64), (0.34, 0.83), (0.66, 0.83)])
"""(5, 2): where the points lie in a frontal face's square box, as shares of its sides."""


@dataclass(frozen=True)
class Face:
    """A face in one picture."""

    box: Array
    """(4,): x and y of its upper left corner, width, height; pixels."""
    points: Array
    """(5, 2): x and y, pixels; where the detector did not see them, where they usually are."""
    score: float
    """0 to 1: how sure the detector is that this is a face."""
    frontal: float
    """0, a profile, to 1, looking into the camera."""
    measured: bool = True
    """Whether the points were seen in this picture."""


class Detector(Protocol):
    """Finds faces in one picture after another, without remembering any."""

    name: str
    sure: float
    """Mean score from which what was followed is kept as a face."""

    def find(self, picture: Picture, expected: Sequence[Array] = (), only_expected: bool = False) -> list[Face]:
        """The faces in a picture, surest first.

        Args:
            picture: (H, W, 3).
            expected: boxes, (4,) each, that are looked at more closely.
            only_expected: look nowhere else, if that is quicker.
        """
        ...


_LARGEST, _LEAST = 640, 320
"""Longer side of the pictures in which faces are looked for: larger ones are reduced, tiny ones enlarged."""


def watched_size(width: int, height: int, aspect: float = 1.0) -> tuple[int, int]:
    """(width, height), in square pixels, at which pictures of this size are looked at; `aspect` is of their pixels."""
    wide, tall = width * aspect, float(height)
    longer = max(wide, tall)
    scale = _LARGEST / longer if longer > _LARGEST else min(2.0, max(1.0, _LEAST / longer))
    return max(8, round(wide * scale)), max(8, round(tall * scale))


def overlap(one: Array, other: Array) -> float:
    """Intersection over union of two boxes."""
    left, top = np.maximum(one[:2], other[:2])
    right, bottom = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = max(0.0, right - left) * max(0.0, bottom - top)
    return float(shared / max(1e-9, one[2] * one[3] + other[2] * other[3] - shared))


def contained(one: Array, other: Array) -> float:
    """The share of the smaller of two boxes that lies in the other."""
    left, top = np.maximum(one[:2], other[:2])
    right, bottom = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = max(0.0, right - left) * max(0.0, bottom - top)
    return float(shared / max(1e-9, min(one[2] * one[3], other[2] * other[3])))


def placed(box: Array) -> Array:
    """(5, 2): the template's points in a box."""
    return np.asarray(box[:2] + TEMPLATE * box[2:])


class HaarDetector:
    """OpenCV's cascades: nothing to download, frontal faces, and profiles where one is expected.

    P. Viola, M. Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001. Single pictures
    give false faces now and then: how many windows agree, and whether there is an eye, makes the score.
    """

    name = "haar"
    sure = 0.35

    SMALLEST = 24
    """Pixels of the smallest face that is looked for."""
    _EYES = 144
    """Faces are enlarged or reduced to this width before eyes are looked for."""
    _AGREEING = 6.0
    """Windows that agree, for half a score."""

    def __init__(self) -> None:
        self._frontal = _cascade("haarcascade_frontalface_alt2.xml")
        self._profile = _cascade("haarcascade_profileface.xml")
        self._eye = _cascade("haarcascade_eye.xml")

    def find(self, picture: Picture, expected: Sequence[Array] = (), only_expected: bool = False) -> list[Face]:
        """See `Detector.find`."""
        grey = np.asarray(cv2.equalizeHist(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)), np.uint8)
        boxes = [] if only_expected else self._boxes(self._frontal, grey, self.SMALLEST, 0)
        for near in expected:
            if all(overlap(near, box) < 0.2 for box, _ in boxes):
                boxes += self._near(self._frontal, grey, near)
        found = [self._described(grey, box, score) for box, score in boxes]
        for near in expected:
            if all(overlap(near, face.box) < 0.2 for face in found):
                found += self._turned(grey, near)
        return sorted(found, key=lambda face: -face.score)

    def _boxes(self, cascade: cv2.CascadeClassifier, grey: Grey, least: int, most: int) -> list[tuple[Array, float]]:
        boxes, agreeing = cascade.detectMultiScale2(
            grey, scaleFactor=1.12, minNeighbors=3, minSize=(least, least), maxSize=(most, most)
        )
        pairs = zip(np.asarray(boxes, float).reshape(-1, 4), np.asarray(agreeing, float).reshape(-1), strict=True)
        return [(box, count / (count + self._AGREEING)) for box, count in pairs]

    def _near(self, cascade: cv2.CascadeClassifier, grey: Grey, near: Array) -> list[tuple[Array, float]]:
        """The one face of about the expected size at the expected place, if it is there."""
        x, y = np.maximum(0, near[:2] - 0.4 * near[2:]).astype(int)
        right, bottom = (near[:2] + 1.4 * near[2:]).astype(int)
        crop = np.ascontiguousarray(grey[y:bottom, x:right])
        least = max(self.SMALLEST, round(0.65 * near[2]))
        if min(crop.shape) <= least:
            return []
        found = [
            (box + np.array((x, y, 0, 0)), score)
            for box, score in self._boxes(cascade, crop, least, round(1.5 * near[2]))
        ]
        return sorted((pair for pair in found if overlap(pair[0], near) > 0.25), key=lambda pair: -pair[1])[:1]

    def _described(self, grey: Grey, box: Array, score: float) -> Face:
        left, right = self._eyes(grey, box)
        if left is not None and right is not None and abs(left[1] - right[1]) < 0.20 * box[3]:
            return Face(box, _from_eyes(box, left, right), score, 1.0)
        if left is None and right is None:
            return Face(box, placed(box), 0.5 * score, 0.5, measured=False)
        return Face(box, placed(box), score, 0.8, measured=False)

    def _eyes(self, grey: Grey, box: Array) -> tuple[Array | None, Array | None]:
        """Centres of the eyes on the picture's left and right, as far as they are seen."""
        x, y, width, height = (round(float(side)) for side in box)
        top = max(0, y + round(0.15 * height))
        found: list[Array | None] = []
        for side in (0, 1):
            first = max(0, x + side * width // 2)
            crop = grey[top : y + round(0.66 * height), first : x + (1 + side) * width // 2]
            if min(crop.shape) < 8:
                found.append(None)
                continue
            scale = self._EYES / width
            crop = np.asarray(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), np.uint8)
            # Each side by itself: one of them may lie in shadow.
            seen = self._eye.detectMultiScale(cv2.equalizeHist(crop), 1.1, 3, minSize=(22, 22), maxSize=(60, 60))
            centres = [np.array((first + (ex + ew / 2) / scale, top + (ey + eh / 2) / scale)) for ex, ey, ew, eh in
                       np.asarray(seen, float).reshape(-1, 4)]  # fmt: skip
            usual = placed(box)[side]
            near = [c for c in centres if np.abs((c - usual) / box[2:]).max() < 0.16]
            found.append(min(near, key=lambda c: float(np.hypot(*(c - usual)))) if near else None)
        return found[0], found[1]

    def _turned(self, grey: Grey, near: Array) -> list[Face]:
        """A profile at an expected place."""
        found = self._near(self._profile, grey, near)
        mirrored = np.array((grey.shape[1] - near[0] - near[2], *near[1:]))
        for box, score in self._near(self._profile, np.ascontiguousarray(grey[:, ::-1]), mirrored):
            found.append((np.array((grey.shape[1] - box[0] - box[2], *box[1:])), score))
        best = sorted(found, key=lambda pair: -pair[1])[:1]
        return [Face(box, placed(box), 0.7 * score, 0.2, measured=False) for box, score in best]


def _from_eyes(box: Array, left: Array, right: Array) -> Array:
    """The five points of a face whose eyes are seen: the template, turned and scaled onto them."""
    ideal = placed(box)
    have, want = ideal[1] - ideal[0], right - left
    ratio = complex(*want) / complex(*have)
    turned = np.array([((p := ratio * complex(*(point - ideal[0]))).real, p.imag) for point in ideal])
    return np.asarray(turned + left)


def _cascade(name: str) -> cv2.CascadeClassifier:
    cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))
    if cascade.empty():
        raise WeightsError(f"{name}: is missing from OpenCV; install opencv-python 4 again (version 5 has no cascades)")
    return cascade


class YuNetDetector:
    """YuNet through OpenCV: faces from any side, with five points.

    W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023. Trained
    for faces of 10 to 300 pixels, so pictures are reduced to at most 480.
    """

    name = "yunet"
    sure = 0.6

    _LARGEST = 480
    _STEP = 32

    def __init__(self, weights: Path) -> None:
        self._net: Any = None
        self._size = (0, 0)
        try:
            self._net = cv2.FaceDetectorYN.create(str(weights), "", (320, 320), 0.6, 0.3, 200)
            self._net.detect(np.zeros((320, 320, 3), np.uint8))
        except cv2.error as error:
            why = str(error).strip().splitlines()[-1]
            raise WeightsError(f"{weights}: OpenCV cannot use it as a YuNet detector ({why[:120]})") from None

    def find(self, picture: Picture, expected: Sequence[Array] = (), only_expected: bool = False) -> list[Face]:
        """See `Detector.find`."""
        height, width = picture.shape[:2]
        scale = min(1.0, self._LARGEST / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture
        padded = cv2.copyMakeBorder(
            small, 0, -size[1] % self._STEP, 0, -size[0] % self._STEP, cv2.BORDER_CONSTANT, value=(0, 0, 0)
        )
        if padded.shape[1::-1] != self._size:
            self._size = (padded.shape[1], padded.shape[0])
            self._net.setInputSize(self._size)
        _, rows = self._net.detect(np.ascontiguousarray(padded[..., ::-1]))
        back = np.array((width / size[0], height / size[1]))
        faces = [] if rows is None else [_from_row(np.asarray(row, float), back) for row in rows]
        return sorted(faces, key=lambda face: -face.score)


def _from_row(row: Array, back: Array) -> Face:
    box = np.concatenate((row[:2] * back, row[2:4] * back))
    points = row[4:14].reshape(5, 2) * back
    eyes = points[1] - points[0]
    along = float((points[2] - points[0]) @ eyes / max(1e-9, eyes @ eyes))
    return Face(box, points, float(np.clip(row[14], 0, 1)), float(np.clip(1 - 1.6 * abs(along - 0.5), 0, 1)))


def choose_detector(name: str = "auto") -> Detector:
    """A detector by name: ``haar``, ``yunet``, the path of a YuNet file (.onnx), or ``auto``: YuNet if it is here.

    Nothing is fetched. Raises OptionError for other names, WeightsError for weights that are missing or wrong.
    """
    from restore import zoo

    if name == "haar":
        return HaarDetector()
    if name in ("auto", "yunet"):
        if zoo.resolve("yunet").path is not None:
            return YuNetDetector(zoo.weights_file("yunet", download=False)[0])
        if name == "auto":
            return HaarDetector()
        raise WeightsError("yunet: its weights are not on this machine; `restore models pull yunet` fetches them")
    path = Path(name).expanduser()
    if path.suffix.lower() != ".onnx":
        raise OptionError(f"--detector {name}: there are auto, haar and yunet, or the path of a YuNet file (.onnx)")
    if not path.is_file():
        raise OptionError(f"--detector {name}: no such file")
    return YuNetDetector(path)
