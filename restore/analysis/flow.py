"""Optical flow on the CPU: OpenCV's DIS over reduced luma, and pictures moved along it.

DIS: Kroeger, Timofte, Dai, Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
"""(H, W), nominally [0, 1]."""
Picture = npt.NDArray[np.float32]
"""(H, W) or (H, W, C)."""
Small = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]
"""(H, W, 2): how far right and down lies, in the other picture, what is here."""

LARGEST = 480
"""Flow is found on pictures reduced by a whole number until their longer side is at most this."""


def reduction(height: int, width: int) -> int:
    """By how much pictures of this size are reduced before their flow is found; tiny ones are not."""
    return max(2 if min(height, width) >= 96 else 1, -(-max(height, width) // LARGEST))


def reduced_luma(luma: Plane, factor: int) -> Small:
    """Luma as `flow_between` wants it: 8 bits, a `factor`th of the size, without what is a few pixels small (dirt)."""
    height, width = luma.shape
    size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA) if factor > 1 else luma
    eight = np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.medianBlur(eight, 5), np.uint8)


def luma_of(rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N, H, W) of (N, 3, H, W), BT.709's weights; the same to the bit whatever N is."""
    red, green, blue = (rgb[:, channel] for channel in range(3))
    weighted = red * np.float32(0.2126) + green * np.float32(0.7152) + blue * np.float32(0.0722)
    return np.asarray(weighted, np.float32)


def same_plane(one: Plane, other: Plane) -> bool:
    """Whether two frames are the same, to the bit: what was found of one then holds for the other."""
    places = [(plane.__array_interface__["data"][0], plane.shape, plane.strides) for plane in (one, other)]
    return places[0] == places[1] or np.array_equal(one, other)


SMALLEST = 24
"""Below this side DIS has no pyramid to search; such pictures are taken to stand still."""


def flow_between(here: Small, there: Small, fine: bool = False) -> Field:
    """(h, w, 2): where in `there` lies what is in `here`, in pixels of these reduced pictures.

    `fine` searches at half the pictures' size instead of a quarter: small things that move fast are found, at twice the
    time.
    A searcher is made for each pair: one that has worked before gives other flow in the last digits.
    """
    if min(here.shape) < SMALLEST:
        return np.zeros((*here.shape, 2), np.float32)
    searcher = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    if fine:
        searcher.setFinestScale(1)
    return np.asarray(searcher.calc(here, there, None), np.float32)


def enlarged(field: Field, height: int, width: int) -> Field:
    """Flow of a reduced picture, for the picture of full size."""
    scale = np.array((width / field.shape[1], height / field.shape[0]), np.float32)
    return np.asarray(cv2.resize(field * scale, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


@lru_cache(maxsize=4)
def grid(height: int, width: int) -> Field:
    """(height, width, 2): where each pixel is, right and down. Not to be written to."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack((x, y))


def moved(picture: Picture, field: Field, interpolation: int = cv2.INTER_LINEAR) -> Picture:
    """`picture`, (H, W) or (H, W, C), fetched along `field`: what of it is seen here. Edges are repeated."""
    where = cv2.add(field, grid(*field.shape[:2]))
    return np.asarray(cv2.remap(picture, where, None, interpolation, borderMode=cv2.BORDER_REPLICATE), np.float32)


def inconsistency(there: Field, back: Field) -> Plane:
    """(h, w): by how many pixels the way there and back misses its start. Large where something is covered or lost."""
    returned = there + moved(back, there)
    return np.asarray(np.hypot(returned[..., 0], returned[..., 1]), np.float32)
