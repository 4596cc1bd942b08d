"""Finding faces in single pictures: one interface, several detectors.

Whatever finds them, a face is a box and five points, in the order of YuNet and ArcFace: the eye on the picture's left,
the one on its right, the tip of the nose, the corners of the mouth, left and right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from restore.errors import OptionError, WeightsError

Picture = npt.NDArray[np.uint8]
"""(H, W, 3) RGB."""
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


def watched_picture(whole: npt.NDArray[np.float32], size: tuple[int, int]) -> Picture:
    """(H, W, 3) 8-bit RGB of an (H, W, 3) picture, nominally [0, 1], at (width, height) `size`."""
    way = cv2.INTER_AREA if size[0] < whole.shape[1] else cv2.INTER_LINEAR
    small = cv2.resize(whole, size, interpolation=way)
    return np.ascontiguousarray(np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8))


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


def described(box: Array, points: Array, score: float) -> Face:
    """A face of a detector that measures all five points; how frontal it is, the place of the nose between the eyes
    says."""
    eyes = points[1] - points[0]
    along = float((points[2] - points[0]) @ eyes / max(1e-9, eyes @ eyes))
    frontal = float(np.clip(1 - 1.6 * abs(along - 0.5), 0, 1))
    return Face(box, points, float(np.clip(score, 0, 1)), frontal)


def said_by(error: cv2.error) -> str:
    """What OpenCV complains of, in one line: its messages have many."""
    lines = [line.strip(" >'\"") for line in str(error).splitlines()]
    return next((line for line in lines if line), "no reason given").partition(" error: ")[2][:160] or lines[0][:160]


def choose_detector(name: str = "auto") -> Detector:
    """A detector by name: ``haar``, ``yunet``, ``retinaface``, the path of a file of either network (.onnx, .pth), or
    ``auto``: YuNet if it is here, else Haar.

    Nothing is fetched. Raises OptionError for other names, WeightsError for weights that are missing or wrong.
    """
    from restore import zoo
    from restore.faces.haar import HaarDetector
    from restore.faces.retinaface import RetinaFaceDetector
    from restore.faces.yunet import YuNetDetector

    if name == "haar" or (name == "auto" and zoo.resolve("yunet").path is None):
        return HaarDetector()
    if name in ("auto", "yunet"):
        return YuNetDetector(_weights("yunet"))
    if name == "retinaface":
        return RetinaFaceDetector(_weights("retinaface"))
    path = Path(name).expanduser()
    if path.suffix.lower() not in (".onnx", ".pth", ".safetensors"):
        raise OptionError(
            f"--detector {name}: there are auto, haar, yunet and retinaface, or the path of a YuNet file (.onnx) or of "
            "RetinaFace mobile 0.25 (.pth)"
        )
    if not path.is_file():
        raise OptionError(f"--detector {name}: no such file")
    return YuNetDetector(path) if path.suffix.lower() == ".onnx" else RetinaFaceDetector(path)


def _weights(name: str) -> Path:
    """A model's weights, if they are on this machine."""
    from restore import zoo

    if zoo.resolve(name).path is None:
        raise WeightsError(f"{name}: its weights are not on this machine; `restore models pull {name}` fetches them")
    return zoo.weights_file(name, download=False)[0]
