"""OpenCV's Haar cascades: the detector that is always there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from restore.errors import WeightsError
from restore.faces.detect import Array, Face, Picture, overlap, placed

Grey = npt.NDArray[np.uint8]
"""(H, W)."""


class HaarDetector:
    """OpenCV's cascades: nothing to download. Frontal faces; where one is expected, also leaning heads and profiles.

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
    _LEANING = (-22.0, 22.0, -44.0, 44.0)
    """Degrees by which the picture is turned where a face is expected and none stands upright: the cascade was trained
    on upright faces and bears about fifteen."""

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
                found += self._leaning(grey, near) or self._profile_near(grey, near)
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

    def _leaning(self, grey: Grey, near: Array) -> list[Face]:
        """A face that leans to a side, at an expected place."""
        side = max(8, round(2.2 * float(near[2:].max())))
        middle, best = near[:2] + near[2:] / 2, None
        there = np.array(((side - near[2]) / 2, (side - near[3]) / 2, near[2], near[3]))
        for angle in self._LEANING:
            turn = np.asarray(cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, 1.0), np.float64)
            turn[:, 2] += side / 2 - middle
            crop = np.asarray(cv2.warpAffine(grey, turn, (side, side), borderMode=cv2.BORDER_REPLICATE), np.uint8)
            for box, score in self._near(self._frontal, crop, there):
                if best is None or score > best[1]:
                    best = (box, score, crop, turn)
        if best is None:
            return []
        box, score, crop, turn = best
        face, back = self._described(crop, box, score), np.asarray(cv2.invertAffineTransform(turn))
        points = face.points @ back[:, :2].T + back[:, 2]
        centre = back[:, :2] @ (box[:2] + box[2:] / 2) + back[:, 2]
        return [Face(np.concatenate((centre - box[2:] / 2, box[2:])), points, face.score, face.frontal, face.measured)]

    def _profile_near(self, grey: Grey, near: Array) -> list[Face]:
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
