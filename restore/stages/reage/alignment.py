"""Faces upright and of one size: crops by a similarity transform, and what was made in them put back.

Everything is measured in *eye distances*: the origin lies between the eyes, x to the right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Array = npt.NDArray[np.float64]

USUAL = np.array([(-0.5, 0.0), (0.5, 0.0), (0.0, 0.61), (-0.46, 1.02), (0.46, 1.02)])
"""(5, 2) eye distances: where the points of a frontal face lie."""
_TRUST = np.array([1.0, 1.0, 0.3, 0.5, 0.5])
"""Eyes hold a face; mouths open and noses point away."""
_REDUCED = 1.2
"""A face that many times as large as its crop is reduced before it is turned: sampling alone would alias."""


@dataclass(frozen=True)
class Framing:
    """Where a crop shows the face, as shares of its side."""

    eyes: float = 0.43
    """How far down the point between the eyes lies; across it is in the middle."""
    distance: float = 1 / 5.6
    """Between the eyes."""

    def points(self, side: int) -> Array:
        """(5, 2) pixels: where `USUAL` lies in a crop of that side."""
        return np.asarray(USUAL * self.distance * side + np.array((0.5, self.eyes)) * side - 0.5)

    def units(self, side: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """x (1, side) and y (side, 1) of a crop's pixels, in eye distances."""
        at = torch.arange(side, dtype=torch.float32, device=device) + 0.5
        unit = self.distance * side
        return ((at - 0.5 * side) / unit)[None, :], ((at - self.eyes * side) / unit)[:, None]


FRAMING = Framing()


def similarities(points: Array, aspect: float = 1.0) -> Array:
    """(N, 4): middle x, y, and cosine and sine times the eye distance: the similarity that takes `USUAL` nearest to
    (N, 5, 2) points, in square pixels; x is first multiplied with the `aspect` of the source's pixels.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.
    """
    weights = _TRUST / _TRUST.sum()
    square = points * np.array((aspect, 1.0))
    middle, usual = np.einsum("k,nkc->nc", weights, square), weights @ USUAL
    have, want = square - middle[:, None], USUAL - usual
    spread = float((weights[:, None] * want**2).sum())
    cosine = np.einsum("k,kc,nkc->n", weights, want, have) / spread
    sine = (np.einsum("k,k,nk->n", weights, want[:, 0], have[..., 1])
            - np.einsum("k,k,nk->n", weights, want[:, 1], have[..., 0])) / spread  # fmt: skip
    turned = np.stack((cosine * usual[0] - sine * usual[1], sine * usual[0] + cosine * usual[1]), 1)
    return np.concatenate((middle - turned, cosine[:, None], sine[:, None]), 1)


def matrix_of(similarity: Array, side: int, framing: Framing = FRAMING, aspect: float = 1.0) -> Array:
    """(2, 3): takes pixels of a crop to pixels of the source."""
    x, y, cosine, sine = similarity
    unit = framing.distance * side
    turn = np.array([(cosine, -sine), (sine, cosine)]) / unit
    shift = np.array((x, y)) - turn @ (np.array((0.5, framing.eyes)) * side - 0.5)
    return np.asarray(np.concatenate((turn, shift[:, None]), 1) / np.array([[aspect], [1.0]]))


def inverse(matrix: Array) -> Array:
    """The (2, 3) matrix that leads back."""
    back = np.linalg.inv(matrix[:, :2])
    return np.concatenate((back, -back @ matrix[:, 2:]), 1)


def applied(matrix: Array, points: Array) -> Array:
    """(..., 2) points through a (2, 3) matrix."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


@dataclass(frozen=True)
class Place:
    """Where in a picture a crop lies: the smallest rectangle that holds it, within the picture."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def place_of(matrix: Array, side: int, height: int, width: int) -> Place | None:
    """The crop's rectangle; None where it lies outside the picture."""
    corners = applied(matrix, np.array([(0, 0), (side - 1, 0), (0, side - 1), (side - 1, side - 1)], float))
    left, top = np.maximum(0, np.floor(corners.min(0)).astype(int))
    right, bottom = np.minimum((width, height), np.ceil(corners.max(0)).astype(int) + 1)
    if right - left < 2 or bottom - top < 2:
        return None
    return Place(int(top), int(left), int(bottom - top), int(right - left))


def cropped(picture: Tensor, matrix: Array, side: int) -> Tensor:
    """(C, side, side) of a (C, H, W) picture; beyond its edges they are repeated."""
    place = place_of(matrix, side, picture.shape[1], picture.shape[2])
    if place is None:
        return picture.new_zeros((picture.shape[0], side, side))
    part = picture[:, place.slices[0], place.slices[1]][None]
    shifted = matrix.copy()
    shifted[:, 2] -= (place.left, place.top)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale > _REDUCED:
        size = (max(2, round(place.height / scale)), max(2, round(place.width / scale)))
        part = F.interpolate(part, size, mode="bilinear", antialias=True, align_corners=False)
        ratio = np.array((size[1] / place.width, size[0] / place.height))
        shifted = shifted * ratio[:, None]
        shifted[:, 2] += 0.5 * ratio - 0.5
    return _sampled(part, shifted, side, side, "border")[0]


def put_back(crop: Tensor, matrix: Array, place: Place) -> Tensor:
    """(C, h, w): a (C, S, S) crop as it lies in its rectangle of the picture; 0 outside it."""
    back = inverse(matrix)
    back[:, 2] += back[:, :2] @ np.array((place.left, place.top), float)
    return _sampled(crop[None], back, place.height, place.width, "zeros")[0]


def _sampled(picture: Tensor, matrix: Array, height: int, width: int, beyond: str) -> Tensor:
    """(N, C, height, width): fetched from where `matrix` takes each pixel."""
    rows, columns = picture.shape[2:]
    # grid_sample counts from -1 to 1 between the outer edges of a picture.
    to = np.array([[2 / columns], [2 / rows]])
    linear = torch.from_numpy(matrix[:, :2] * to).to(picture)
    shift = (matrix[:, 2] + 0.5) * to[:, 0] - 1
    x = torch.arange(width, dtype=picture.dtype, device=picture.device)[None, :]
    y = torch.arange(height, dtype=picture.dtype, device=picture.device)[:, None]
    grid = torch.stack([linear[a, 0] * x + linear[a, 1] * y + float(shift[a]) for a in (0, 1)], -1)
    return F.grid_sample(picture, grid[None].expand(len(picture), -1, -1, -1), "bilinear", beyond, align_corners=False)
