"""Where the frames beside one show the same things."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from restore.analysis.flow import Field, Plane, Small, flow_between, moved, reduced_luma, reduction

_CLEARLY = 0.9
"""Motion is believed where it lowers the difference to this share of that without motion."""


class Motion:
    """Flow between the frames of a window, called by their pts, at reduced size.

    All it returns is a function of the frames last seen: what it remembers of earlier calls only saves time.
    """

    def __init__(self) -> None:
        self._frames: dict[int, Plane] = {}
        self._small: dict[int, Small] = {}
        self._fields: dict[tuple[int, int], Field] = {}

    def see(self, pts: Sequence[int], lumas: Sequence[Plane]) -> None:
        """These frames, in order, and no others."""
        fresh = dict(zip(pts, lumas, strict=True))
        same = {key for key in fresh if key in self._frames and np.array_equal(fresh[key], self._frames[key])}
        self._frames = fresh
        self._small = {key: value for key, value in self._small.items() if key in same}
        self._fields = {key: value for key, value in self._fields.items() if same.issuperset(key)}

    def _reduced(self, key: int) -> Small:
        if key not in self._small:
            frame = self._frames[key]
            self._small[key] = reduced_luma(frame, reduction(*frame.shape))
        return self._small[key]

    def field(self, here: int, there: int) -> Field:
        """(h, w, 2): flow of the reduced pictures from one frame to another; nought where nothing moves."""
        if (here, there) not in self._fields:
            first, second = self._reduced(here), self._reduced(there)
            field = flow_between(first, second)
            target, other = first.astype(np.float32), second.astype(np.float32)
            still = cv2.blur((target - other) ** 2, (9, 9))
            along = cv2.blur((target - moved(other, field)) ** 2, (9, 9))
            field[along > _CLEARLY * still] = 0
            self._fields[here, there] = field
        return self._fields[here, there]
