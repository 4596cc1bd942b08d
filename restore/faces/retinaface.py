"""RetinaFace with its small backbone, through facexlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from restore.errors import OptionError, WeightsError
from restore.faces.detect import Array, Face, Picture, described


class RetinaFaceDetector:
    """Faces from any side, partly covered ones too, with five points.

    J. Deng et al., "RetinaFace: Single-shot Multi-level Face Localisation in the Wild", CVPR 2020; the network and its
    decoding are facexlib's. Pictures are reduced to at most 480, the weights checked by their numbers: another training
    of the same network is in circulation, which loads and returns wrong boxes.

    Raises OptionError without facexlib, WeightsError for any other weights.
    """

    name = "retinaface"
    sure = 0.75

    _LARGEST = 480
    _LEAST_SCORE = 0.6

    def __init__(self, weights: Path) -> None:
        from restore.zoo import load_state_dict
        from restore.zoo.recognise import recognise

        state = load_state_dict(weights)
        known = recognise(state, weights)
        if known is None or known[0].id != "retinaface":
            what = f"it is {known[0].id}" if known else "its numbers are not the published ones"
            raise WeightsError(f"{weights}: is not RetinaFace mobile 0.25: {what}; `restore models pull retinaface`")
        self._net = _network()
        self._net.load_state_dict(state)
        self._net.eval().requires_grad_(False)

    def find(self, picture: Picture, expected: Sequence[Array] = (), only_expected: bool = False) -> list[Face]:
        """See `Detector.find`."""
        height, width = picture.shape[:2]
        scale = min(1.0, self._LARGEST / max(height, width))
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture
        back = np.array((width, height)) / small.shape[1::-1]
        with torch.inference_mode():
            rows = self._net.detect_faces(np.ascontiguousarray(small[..., ::-1]), self._LEAST_SCORE)
        faces = []
        for row in np.asarray(rows, np.float64):
            upper, lower = row[:2] * back, row[2:4] * back
            box = np.concatenate((upper, lower - upper))
            faces.append(described(box, row[5:15].reshape(5, 2) * back, float(row[4])))
        return sorted(faces, key=lambda face: -face.score)


def _network() -> Any:
    """The network without weights, on the processor."""
    try:
        from facexlib.detection.retinaface import RetinaFace
    except ImportError:
        raise OptionError("the detector retinaface needs facexlib: pip install 'restore-film[faces]'") from None
    return RetinaFace("mobile0.25", device=torch.device("cpu"))
