"""Which frames of a shot stand for it: where the picture has become another than motion explains."""

from __future__ import annotations

import cv2
import numpy as np

from restore.analysis.flow import Small, flow_between, moved

LONGEST = 24
"""Frames after which a network is asked again, at the latest."""
_CHANGED = 14.0
"""Mean difference of luma (of 255) after which it is asked sooner."""
_SOONEST = 6
_LOOKS = 12
"""Frames between looks for new content."""
_UNLIKE = 14.0
_NEW = 0.3
"""Share of the picture that must be new for a frame to be worth painting."""


class ChangeChooser:
    """Frames to ask a network about: every second or so, sooner where much has changed. Cheap."""

    def __init__(self) -> None:
        self._last: tuple[int, Small] | None = None

    def wants(self, number: int, picture: Small) -> bool:
        """Whether a frame, by number from the shot's first, is one; frames are shown in order."""
        if self._last is not None:
            since = number - self._last[0]
            changed = np.abs(picture[::4, ::4].astype(np.int16) - self._last[1][::4, ::4]).mean()
            if since < LONGEST and (since < _SOONEST or changed <= _CHANGED):
                return False
        self._last = number, picture
        return True


def new_content(known: Small, now: Small) -> float:
    """Share of a picture, 0 to 1, that cannot be found in another by motion."""
    seen = moved(known.astype(np.float32), flow_between(now, known))
    unlike = cv2.blur(np.abs(now.astype(np.float32) - seen), (7, 7))
    return float((unlike > _UNLIKE).mean())


class ContentChooser:
    """Frames worth painting: the first of a shot that is not dark, and each that holds much that is new."""

    def __init__(self) -> None:
        self._known: list[Small] = []

    def wants(self, number: int, picture: Small) -> bool:
        """As `ChangeChooser.wants`."""
        if not self._known:
            if float(picture.mean()) < 16:  # black, or a fade's beginning
                return False
        elif number % _LOOKS or min(new_content(known, picture) for known in self._known[-3:]) < _NEW:
            return False
        self._known.append(picture)
        return True
