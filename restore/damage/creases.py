"""What happens to photographs on paper and glass: scratches in any direction, creases, specks and hairs, truth known.

Nobody has published counts for prints; widths and tones follow what one sees on scans of worn ones. A crease breaks the
emulsion: a jagged core of bare paper, at times dark with dirt, from edge to edge or nearly, with flakes missing beside
it and the paper's bend as soft light and shade along it. A scratch is thinner, straighter or bowed, and uneven.
Sizes are in pixels of a picture whose shorter side has 480.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from restore.damage.dust import Dust

Picture = npt.NDArray[np.float32]
_FINE = 3


@dataclass(frozen=True, slots=True)
class PrintDamage:
    """How worn a photograph is: mean numbers a picture."""

    seed: int = 0
    scratches: float = 6.0
    creases: float = 1.0
    specks: float = 30.0
    hairs: float = 1.5
    width: tuple[float, float] = (0.6, 2.0)
    """Of scratches."""
    crease_width: tuple[float, float] = (0.8, 3.2)
    light: float = 0.7
    """Share of marks that are paper-white; the others are dark."""

    def apply(self, pixels: Tensor, first: int = 0) -> Tensor:
        """Damage pictures, (N, 3, H, W) nominally [0, 1], each in its own way, counted from `first`."""
        result = pixels.clone()
        height, width = pixels.shape[-2:]
        for number, picture in enumerate(result, first):
            random = np.random.default_rng((self.seed, number, 5))
            unit = min(height, width) / 480
            for _ in range(random.poisson(self.creases)):
                self._lay(picture, *self._crease(random, height, width, unit))
            for _ in range(random.poisson(self.scratches)):
                self._lay(picture, self._scratch(random, height, width, unit), None, self._tone(random))
        dust = Dust(seed=self.seed + 31, specks=self.specks, blotches=0.5, hairs=self.hairs, light=self.light)
        return dust.apply(result, first)

    def _tone(self, random: np.random.Generator) -> float:
        return float(random.uniform(0.8, 1.0) if random.random() < self.light else random.uniform(0.0, 0.15))

    def _lay(self, picture: Tensor, cover: Picture, shade: Picture | None, tone: float) -> None:
        if shade is not None:
            picture.mul_(1 + torch.from_numpy(shade).to(picture))
        picture.add_(torch.from_numpy(cover).to(picture) * (tone - picture)).clamp_(0, 1)

    def _scratch(self, random: np.random.Generator, height: int, width: int, unit: float) -> Picture:
        length = float(np.exp(random.uniform(np.log(25), np.log(420)))) * unit
        angle, bow = random.uniform(0, 2 * np.pi), random.normal(0, 0.15)
        along = np.linspace(-0.5, 0.5, 64)
        start = random.uniform(0, 1, 2) * (width, height)
        across = bow * length * (along**2 - 0.08) + np.cumsum(random.normal(0, 0.12 * unit, 64))
        x = start[0] + along * length * np.cos(angle) - across * np.sin(angle)
        y = start[1] + along * length * np.sin(angle) + across * np.cos(angle)
        thick = max(0.5, random.uniform(*self.width) * unit) * _uneven(random, 64, 0.25)
        cover = _drawn(np.stack((x, y), 1), thick, height, width)
        fade = random.uniform(0.45, 1.0)
        return np.asarray(cover * fade * _patchy(random, height, width, 0.2), np.float32)

    def _crease(
        self, random: np.random.Generator, height: int, width: int, unit: float
    ) -> tuple[Picture, Picture, float]:
        upright = random.random() < 0.5
        ends = random.uniform(0.05, 0.95, 2)
        first = np.array((ends[0] * width, -2.0) if upright else (-2.0, ends[0] * height))
        last = np.array((ends[1] * width, height + 2.0) if upright else (width + 2.0, ends[1] * height))
        if random.random() < 0.35:  # ends inside
            last = first + (last - first) * random.uniform(0.35, 0.8)
        count = 320
        along = np.linspace(0, 1, count)[:, None]
        normal = np.array((first - last)[::-1]) * (1, -1) / np.hypot(*(first - last))
        rough = np.cumsum(random.normal(0, 0.35 * unit, count))
        rough -= along[:, 0] * rough[-1]
        points = first + (last - first) * along + normal * (rough + random.normal(0, 0.25 * unit, count))[:, None]
        broken = random.uniform(*self.crease_width) * unit
        thick = broken * np.clip(cv2.blur(random.gamma(1.2, 0.8, (1, count)), (5, 1))[0], 0.15, 2.5)
        cover = _drawn(points, thick, height, width) * _patchy(random, height, width, 0.12)
        for _ in range(random.poisson(6)):  # flakes
            place = points[random.integers(count)] + random.normal(0, 2 * unit, 2)
            size = random.uniform(1.0, 4.0) * unit
            blob = place + size * random.uniform(0.4, 1.0, (7, 1)) * _ring(7)
            layer = np.zeros((height, width), np.float32)
            cv2.fillPoly(layer, [np.round(blob).astype(np.int32)], 1.0, lineType=cv2.LINE_AA)
            cover = np.maximum(cover, layer)
        y, x = np.mgrid[:height, :width].astype(np.float32)
        away = (x - first[0]) * normal[0] + (y - first[1]) * normal[1]
        soft = random.uniform(3, 9) * unit
        bend = random.normal(0, 0.06) * away / soft * np.exp(-((away / soft) ** 2))
        near = cv2.GaussianBlur(_drawn(points, np.full(count, 4 * soft), height, width), (0, 0), max(1.0, soft))
        return np.asarray(cover, np.float32), np.asarray(bend * near, np.float32), self._tone(random)


def _ring(count: int) -> npt.NDArray[np.float64]:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack((np.cos(turn), np.sin(turn)), 1)


def _uneven(random: np.random.Generator, count: int, spread: float) -> npt.NDArray[np.float64]:
    knots = np.clip(random.normal(0.9, spread, 9), 0.3, 1.4)
    return np.interp(np.linspace(0, 8, count), np.arange(9), knots)


def _patchy(random: np.random.Generator, height: int, width: int, lost: float) -> Picture:
    """(H, W) in [0, 1]: where a mark is whole, and where it has gaps."""
    coarse = random.random((max(2, height // 6), max(2, width // 6))).astype(np.float32)
    spread = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip((spread - lost) * 5, 0.1, 1), np.float32)


def _drawn(points: npt.NDArray[np.float64], thick: npt.NDArray[np.float64], height: int, width: int) -> Picture:
    """(H, W) in [0, 1]: a line of varying thickness, with soft edges."""
    layer = np.zeros((height * _FINE, width * _FINE), np.uint8)
    fine = np.round(points * _FINE * 16).astype(np.int32)
    for first, last, size in zip(fine, fine[1:], thick, strict=False):
        cv2.line(layer, first, last, 255, max(1, round(size * _FINE)), cv2.LINE_AA, 4)
    return np.asarray(cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255), np.float32)
