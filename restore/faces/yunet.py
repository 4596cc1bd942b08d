"""YuNet, through OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from restore.errors import WeightsError
from restore.faces.detect import Array, Face, Picture, described, said_by


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
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong is said below
        try:
            self._net = cv2.FaceDetectorYN.create(str(weights), "", (320, 320), 0.6, 0.3, 200)
            self._net.detect(np.zeros((320, 320, 3), np.uint8))
        except cv2.error as error:
            raise WeightsError(f"{weights}: OpenCV cannot use it as a YuNet detector ({said_by(error)})") from None
        finally:
            cv2.utils.logging.setLogLevel(level)

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
        found = np.zeros((0, 15)) if rows is None else np.asarray(rows, float)
        boxes = [(row[:4] * np.tile(back, 2), row[4:14].reshape(5, 2) * back, row[14]) for row in found]
        faces = [described(box, points, score) for box, points, score in boxes]
        return sorted(faces, key=lambda face: -face.score)
