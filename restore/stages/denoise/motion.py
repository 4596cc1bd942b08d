"""Where the frames beside one show the same things.

Flow from frame to frame is found on reduced luma and added up; then corrected by one step of Lucas and Kanade ("An
iterative image registration technique", IJCAI 1981) between the two frames themselves, over windows wide enough that
grain does not lead it astray. It must be right to a tenth of a pixel: what is averaged a little aside is blurred.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from restore.analysis.flow import Field, Plane, Small, enlarged, flow_between, grid, moved, reduction, same_plane

_CLEARLY = 0.75
"""Motion is believed where it lowers the difference to this share of that without motion."""
_WINDOW = 17
"""Pixels of the reduced picture over which differences are compared,"""
_CELL, _CELLS = 4, 7
"""and over how many cells of how many pixels flow is corrected,"""
_FARTHEST = 0.5
"""by at most so many pixels."""


class Motion:
    """Flow between the frames of a window, called by their pts, at reduced size.

    All it returns is a function of the frames last seen: what it remembers of earlier calls only saves time.
    """

    def __init__(self) -> None:
        self._order: list[int] = []
        self._frames: dict[int, Plane] = {}
        self._small: dict[int, tuple[Plane, Small]] = {}
        self._steps: dict[tuple[int, int], Field] = {}

    def see(self, pts: Sequence[int], lumas: Sequence[Plane]) -> None:
        """These frames, in order, and no others."""
        fresh = dict(zip(pts, lumas, strict=True))
        same = {key for key in fresh if key in self._frames and same_plane(fresh[key], self._frames[key])}
        self._order, self._frames = list(pts), fresh
        self._small = {key: value for key, value in self._small.items() if key in same}
        self._steps = {key: value for key, value in self._steps.items() if same.issuperset(key)}

    def _reduced(self, key: int) -> tuple[Plane, Small]:
        """A frame's luma, reduced; and in 8 bits without the finest grain, to search in."""
        if key not in self._small:
            frame = self._frames[key]
            factor = reduction(*frame.shape)
            size = (max(1, frame.shape[1] // factor), max(1, frame.shape[0] // factor))
            small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
            eight = np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8)
            self._small[key] = np.asarray(small, np.float32), np.asarray(cv2.GaussianBlur(eight, (0, 0), 1.0), np.uint8)
        return self._small[key]

    def _step(self, here: int, there: int) -> Field:
        if (here, there) not in self._steps:
            self._steps[here, there] = flow_between(self._reduced(here)[1], self._reduced(there)[1])
        return self._steps[here, there]

    def field(self, here: int, there: int) -> Field:
        """(h, w, 2): flow of the reduced pictures from one frame to another; nought where nothing moves."""
        place, last = self._order.index(here), self._order.index(there)
        step = 1 if last > place else -1
        path = self._order[place : last + step if last + step >= 0 else None : step]
        field = self._step(path[0], path[1])
        for first, second in zip(path[1:], path[2:], strict=False):
            field = field + moved(self._step(first, second), field)
        (small, eight), (other, other_eight) = self._reduced(here), self._reduced(there)
        field = corrected(small, other, field)
        target, source = eight.astype(np.float32), other_eight.astype(np.float32)
        still = cv2.blur(cv2.absdiff(target, source) ** 2, (_WINDOW, _WINDOW))
        along = cv2.blur(cv2.absdiff(target, moved(source, field)) ** 2, (_WINDOW, _WINDOW))
        field *= (along <= _CLEARLY * still)[..., None]
        return field

    def fetched(self, plane: Plane, field: Field) -> Plane:
        """A plane, of any size, moved along the flow of reduced pictures."""
        where = enlarged(field, *plane.shape)
        cv2.add(where, grid(*plane.shape), where)
        return np.asarray(
            cv2.remap(plane, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32
        )  # fmt: skip


def corrected(here: Plane, there: Plane, field: Field) -> Field:
    """Flow after a step of least squares."""
    fetched = moved(there, field)
    mean, change = cv2.GaussianBlur((here + fetched) * 0.5, (0, 0), 0.5), cv2.GaussianBlur(fetched - here, (0, 0), 0.5)
    across = cv2.Sobel(mean, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(mean, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    height, width = here.shape
    cells = (max(1, width // _CELL), max(1, height // _CELL))
    xx, xy, yy, x, y = (
        cv2.blur(cv2.resize(product, cells, interpolation=cv2.INTER_AREA), (_CELLS, _CELLS))
        for product in (across * across, across * down, down * down, across * change, down * change)
    )
    xx, yy = xx + 1e-6, yy + 1e-6  # where there is nothing to see, nothing is corrected
    determinant = xx * yy - xy * xy
    step = np.dstack(((xy * y - yy * x) / determinant, (xy * x - xx * y) / determinant))
    step = cv2.resize(np.clip(step, -_FARTHEST, _FARTHEST), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(field + step, np.float32)
