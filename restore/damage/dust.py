"""Dirt that lies on one frame: specks, blotches, hairs and splices, with what they hide known.

Sizes are stated for a picture of 480 lines and grow with it, as dirt does with the scan. How many and how large follow
what one counts on worn 35 mm prints (some ten specks of a few pixels a frame, now and then a blotch or a hair; in all
0.1 to 1 % of the picture, which is also what Kokaram reports: Motion Picture Restoration, Springer 1998, ch. 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Picture = npt.NDArray[np.float32]
Shape = Literal["polygon", "islands"]
"""``polygon``: a jagged outline. ``islands``: what a random landscape leaves above water, at times in pieces."""

_FINE = 4
"""Marks are drawn this many times as large and reduced."""


class Mark(NamedTuple):
    """One piece of dirt: how much it covers, (h, w) in [0, 1], the grey that shows there, and its top left corner."""

    cover: Picture
    tone: float
    top: int
    left: int


@dataclass(frozen=True, slots=True)
class Dust:
    """How dirty a film is: mean numbers a frame, sizes in pixels of a picture of 480 lines."""

    seed: int = 0
    shape: Shape = "polygon"
    specks: float = 22.0
    radius: float = 1.4
    """Median radius of specks; log-normal, from single pixels to some ten."""
    spread: float = 0.55
    """Standard deviation of the logarithm of the radius."""
    blotches: float = 0.5
    blotch_radius: tuple[float, float] = (6.0, 18.0)
    hairs: float = 0.6
    hair_length: tuple[float, float] = (14.0, 60.0)
    splices: tuple[int, ...] = ()
    """Frames on which glue and a torn edge show, at the top or at the bottom."""
    opacity: tuple[float, float] = (0.35, 1.0)
    light: float = 0.5
    """Share of white marks (dirt on the negative); the others are black."""

    def marks(self, frame: int, height: int, width: int) -> Iterator[Mark]:
        """The dirt on one frame."""
        random = np.random.default_rng((self.seed, frame))
        unit = height / 480
        for _ in range(random.poisson(self.specks)):
            radius = max(0.5, self.radius * unit * float(np.exp(random.normal(0, self.spread))))
            yield self._placed(_blob(random, radius, self.shape), random, height, width)
        for _ in range(random.poisson(self.blotches)):
            radius = random.uniform(*self.blotch_radius) * unit
            yield self._placed(_blob(random, radius, self.shape), random, height, width)
        for _ in range(random.poisson(self.hairs)):
            yield self._placed(_hair(random, random.uniform(*self.hair_length) * unit, unit), random, height, width)
        if frame in self.splices:
            cover = _splice(random, width, unit)
            at_top = random.random() < 0.5
            yield Mark(cover if at_top else cover[::-1], 0.9, 0 if at_top else height - len(cover), 0)

    def _placed(self, cover: Picture, random: np.random.Generator, height: int, width: int) -> Mark:
        white = random.random() < self.light
        tone = random.uniform(0.75, 1.0) if white else random.uniform(0.0, 0.2)
        top = int(random.integers(-len(cover) // 2, height - len(cover) // 2))
        left = int(random.integers(-cover.shape[1] // 2, width - cover.shape[1] // 2))
        return Mark(cover * np.float32(random.uniform(*self.opacity)), tone, top, left)

    def apply(self, pixels: Tensor, first_frame: int = 0) -> Tensor:
        """Lay the dirt on consecutive frames.

        Args:
            pixels: (N, C, H, W), nominally [0, 1].
            first_frame: number of the first frame; a frame's dirt is the same however frames are grouped.

        Returns:
            A new tensor of that shape; where no dirt lies, its values are the same.
        """
        result = pixels.clone()
        height, width = pixels.shape[-2:]
        for number, picture in enumerate(result, first_frame):
            for mark in self.marks(number, height, width):
                rows, columns = mark.cover.shape
                y0, x0 = max(0, mark.top), max(0, mark.left)
                y1, x1 = min(height, mark.top + rows), min(width, mark.left + columns)
                part = mark.cover[y0 - mark.top : y1 - mark.top, x0 - mark.left : x1 - mark.left]
                cover = torch.from_numpy(np.ascontiguousarray(part)).to(pixels)
                place = picture[:, y0:y1, x0:x1]
                place += cover * (mark.tone - place)
        return result


def _reduced(layer: Picture) -> Picture:
    height, width = layer.shape[0] // _FINE, layer.shape[1] // _FINE
    return np.asarray(cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _blob(random: np.random.Generator, radius: float, shape: Shape) -> Picture:
    """A compact piece of dirt, (h, w) in [0, 1]."""
    side = 2 * int(np.ceil(1.7 * radius)) + 3
    layer = np.zeros((side * _FINE, side * _FINE), np.float32)
    centre = side * _FINE / 2
    aspect, angle = float(np.exp(random.normal(0, 0.3))), random.uniform(0, np.pi)
    if shape == "polygon":
        corners = int(random.integers(7, 14))
        angles = np.sort(random.uniform(0, 2 * np.pi, corners))
        reach = radius * _FINE * random.uniform(0.6, 1.3, corners)
        x, y = reach * np.cos(angles) * aspect**0.5, reach * np.sin(angles) / aspect**0.5
        turned = np.stack((x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)), 1)
        cv2.fillPoly(layer, [np.round(turned + centre).astype(np.int32)], 1.0)
    else:
        landscape = random.normal(0, 1, layer.shape).astype(np.float32)
        landscape = cv2.GaussianBlur(landscape, (0, 0), max(1.0, radius * _FINE * 0.35))
        landscape /= landscape.std() + 1e-6
        y, x = (np.mgrid[: len(layer), : len(layer)] + 0.5 - centre) / (radius * _FINE)
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        layer[(u**2 / aspect + v**2 * aspect) - 1 < 0.45 * landscape] = 1.0
    if radius > 4:  # large ones are thin in places, and soft at their edge
        density = cv2.GaussianBlur(random.normal(0, 1, layer.shape).astype(np.float32), (0, 0), radius * _FINE * 0.3)
        layer *= np.clip(0.85 + 0.25 * density / (density.std() + 1e-6), 0.3, 1)
        layer = cv2.GaussianBlur(layer, (0, 0), 0.6 * _FINE)
    return _reduced(layer)


def _hair(random: np.random.Generator, length: float, unit: float) -> Picture:
    """A bent fibre about a pixel wide."""
    steps = max(6, int(length / 2))
    bend = np.cumsum(random.normal(0, 0.22, steps)) + random.uniform(0, 2 * np.pi)
    step = length / steps
    path = np.stack((np.cumsum(np.cos(bend)), np.cumsum(np.sin(bend))), 1) * step * _FINE
    path -= path.min(0) - 3 * _FINE
    size = np.ceil((path.max(0) + 3 * _FINE) / _FINE).astype(int)
    layer = np.zeros((size[1] * _FINE, size[0] * _FINE), np.float32)
    thick = max(2, round(random.uniform(0.7, 1.7) * _FINE * max(1.0, unit)))
    cv2.polylines(layer, [np.round(path).astype(np.int32)], False, 1.0, thick, cv2.LINE_AA)
    return _reduced(layer)


def _splice(random: np.random.Generator, width: int, unit: float) -> Picture:
    """A band of glue with a ragged lower edge, at the top of the picture."""
    depth = random.uniform(3, 9) * unit
    rows = int(np.ceil(depth + 4 * unit)) + 2
    edge = cv2.GaussianBlur(random.normal(0, 1, (1, width)).astype(np.float32), (0, 0), 6 * unit)[0]
    edge = depth + 1.5 * unit * edge / (edge.std() + 1e-6)
    cover = np.clip(edge[None, :] - np.arange(rows)[:, None], 0, 1)
    return np.asarray(cover * random.uniform(0.5, 0.95), np.float32)
