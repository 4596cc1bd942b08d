"""Finding cuts, with PySceneDetect's detectors over our own frames."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scenedetect.common import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

PREVIEW_WIDTH = 256
"""Detectors see luma at this width: enough for cuts, and faster than decoding."""

LOOKBACK = 6
"""A detector restarted this many frames early finds the same cuts as one that never stopped."""


class ShotDetector:
    """Feed it every frame's luma in order; it names the first frames of new shots.

    The adaptive detector compares a frame's change with that of its neighbours, so that fast motion is no cut; a change
    so large that no motion explains it is always one, or a film with a cut on every frame would have none.
    Luma only: the hue of a grey picture is noise.
    """

    SURE = 64.0
    """Mean absolute change of luma (0 to 255) that is a cut whatever surrounds it."""

    def __init__(self) -> None:
        self._detector = AdaptiveDetector(min_scene_len=1, luma_only=True)
        self._last: npt.NDArray[np.uint8] | None = None

    def add(self, number: int, preview: npt.NDArray[np.uint8]) -> list[int]:
        """See frame `number`, (h, w) luma from `preview_of`. Returns cuts found, some frames late."""
        cuts = set()
        if self._last is not None:
            change = float(np.mean(cv2.absdiff(preview, self._last)))
            if change >= self.SURE:
                cuts.add(number)
        self._last = preview
        found = self._detector.process_frame(FrameTimecode(number, 25.0), cv2.cvtColor(preview, cv2.COLOR_GRAY2BGR))
        cuts.update(cut.frame_num for cut in found)
        return sorted(cuts)


def preview_of(luma: npt.NDArray[np.generic], depth: int) -> npt.NDArray[np.uint8]:
    """Luma samples of any depth, reduced to 8 bits at `PREVIEW_WIDTH`."""
    height, width = luma.shape
    scale = min(1.0, PREVIEW_WIDTH / width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    if small.dtype == np.float32:
        return np.asarray(np.clip(small * 255, 0, 255), np.uint8)
    return np.asarray(small >> (depth - 8), np.uint8) if depth > 8 else np.asarray(small, np.uint8)
