"""The pictures of the samples: shots made from photographs by a moving window, and the wear of a film."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont

from restore.damage import Damage

Picture = npt.NDArray[np.float32]
"""(H, W, 3) RGB or (H, W), in [0, 1]."""
Box = tuple[float, float, float]
"""Left, top and width of a window in a photograph, in its pixels; the height follows from the film's aspect."""


def photograph(name: str) -> Picture:
    """One of scikit-image's own pictures, (H, W, 3)."""
    from skimage import data

    picture = np.asarray(getattr(data, name)(), np.float32) / 255
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def grey(picture: Picture) -> Picture:
    """Luma (BT.709) of (H, W, 3), as an emulsion of the time might see it: a little darker for red."""
    return np.asarray(picture @ np.array((0.16, 0.74, 0.10), np.float32), np.float32)


def pan(picture: Picture, start: Box, end: Box, frames: int, width: int, height: int) -> Iterator[Picture]:
    """A camera that moves and zooms: `frames` windows between two boxes, eased at both ends, each width x height."""
    for number in range(frames):
        t = number / max(1, frames - 1)
        t = t * t * (3 - 2 * t) * 0.7 + t * 0.3
        left, top, size = (a + (b - a) * t for a, b in zip(start, end, strict=True))
        scale = size / width
        shift = scale / 2 - 0.5  # pixel centres
        matrix = np.array(((scale, 0, left + shift), (0, scale, top + shift)), np.float32)
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        yield np.clip(
            cv2.warpAffine(picture, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT), 0, 1
        )


def title_card(lines: list[tuple[str, int]], width: int, height: int) -> Picture:
    """White words on black in a double frame, (H, W). `lines` are words and their size in pixels."""
    card = Image.new("L", (width, height), 18)
    draw = ImageDraw.Draw(card)
    for margin, weight in ((22, 3), (30, 1)):
        draw.rectangle((margin, margin, width - margin, height - margin), outline=205, width=weight)
    total = sum(int(size * 1.45) for _, size in lines)
    top = (height - total) / 2
    for words, size in lines:
        face = ImageFont.load_default(size)
        draw.text((width / 2, top + size * 0.72), words, fill=232, font=face, anchor="mm")
        top += size * 1.45
    return np.asarray(card, np.float32) / 255


@dataclass(frozen=True)
class FrameWear:
    """What happened to one frame, in pixels of the damaged picture: the truth that later stages can be tested with."""

    weave: tuple[float, float]
    """How far the picture moved right and down."""
    flicker: float
    """Factor on its brightness."""
    dust: tuple[tuple[float, float, float, float], ...]
    """Specks: x, y, radius, and how much lighter (or, negative, darker)."""
    scratches: tuple[tuple[float, float, float], ...]
    """Vertical scratches: x, width, and how much lighter or darker."""
    splice: bool = False
    """A splice shows at the edge of the frame."""

    def as_json(self) -> dict[str, Any]:
        """Rounded, for a file."""

        def rounded(value: Any) -> Any:
            if isinstance(value, float):
                return round(value, 3)
            return [rounded(item) for item in value] if isinstance(value, list | tuple) else value

        return {name: rounded(value) for name, value in asdict(self).items()}


def wear(shots: list[int], width: int, height: int, seed: int) -> list[FrameWear]:
    """The wear of a film whose shots have these many frames: weave, flicker, dust, scratches, splices."""
    random = np.random.default_rng(seed)
    total = sum(shots)
    drift = np.cumsum(random.normal(0, 0.25, (total, 2)), axis=0)
    weave = _smooth(drift, 1.2) - _smooth(drift, 9)
    flicker = 1 + _smooth(random.normal(0, 0.05, (total, 1)), 0.5)[:, 0] + 0.02 * np.sin(np.arange(total) * 1.9)
    found: list[FrameWear] = []
    for frames in shots:
        lines = [
            (random.uniform(0.05, 0.95) * width, random.uniform(0.5, 1.1), random.choice((0.34, 0.26, -0.28)),
             int(random.integers(0, frames // 2)), int(random.integers(frames // 3, frames)), random.normal(0, 0.12))
            for _ in range(random.integers(1, 4))
        ]  # fmt: skip
        for number in range(frames):
            specks = tuple(
                (random.uniform(0, width), random.uniform(0, height), 0.6 + random.exponential(0.8),
                 float(random.choice((0.55, 0.4, -0.5), p=(0.5, 0.2, 0.3))))
                for _ in range(random.poisson(3.5))
            )  # fmt: skip
            scratches = tuple(
                (x + speed * number + random.normal(0, 0.15), size, tone * random.uniform(0.5, 1))
                for x, size, tone, first, length, speed in lines
                if first <= number < first + length and random.random() < 0.9
            )
            place = len(found)
            moved = (float(weave[place, 0]), float(weave[place, 1]) * 0.7)
            splice = number == 0 and place > 0
            found.append(FrameWear(moved, float(flicker[place]), specks, scratches, splice))
    return found


def _smooth(rows: npt.NDArray[np.float64], sigma: float) -> npt.NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(rows, sigma, axis=0, mode="nearest"))


def worn(clean: Picture, worn_by: FrameWear, damage: Damage, number: int) -> Picture:
    """One frame of the film as it is found: (H, W) or (H, W, 3) in, half the size out, in [0, 1]."""
    height, width = clean.shape[:2]
    dx, dy = worn_by.weave
    moved = cv2.warpAffine(
        clean, np.array(((1, 0, 2 * dx), (0, 1, 2 * dy)), np.float32), (width, height),
        flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    colour = moved if moved.ndim == 3 else np.repeat(moved[..., None], 3, axis=2)
    exposed = np.clip(colour * worn_by.flicker, 0, 1.2)
    tensor = torch.from_numpy(np.ascontiguousarray(exposed.transpose(2, 0, 1)))[None]
    small = damage.apply(tensor, downscale=2, first_frame=number)[0].permute(1, 2, 0).numpy()
    marked = small + _marks(worn_by, small.shape[0], small.shape[1], damage.seed + number)[..., None]
    result = np.clip(marked, 0, 1).astype(np.float32)
    return result if clean.ndim == 3 else np.ascontiguousarray(result[..., 1])


def _marks(worn_by: FrameWear, height: int, width: int, seed: int) -> Picture:
    """Dust, scratches and splices, drawn four times as large and reduced: (H, W), added to the picture."""
    random = np.random.default_rng(seed)
    fine = 4
    layer = np.zeros((height * fine, width * fine), np.float32)
    for x, y, radius, tone in worn_by.dust:
        angles = np.sort(random.uniform(0, 2 * np.pi, 9))
        reach = radius * random.uniform(0.5, 1.4, 9)
        outline = np.stack((x + reach * np.cos(angles), y + reach * np.sin(angles)), 1) * fine
        if random.random() < 0.07:  # a hair
            bend = np.cumsum(random.normal(0, 0.5, 14))
            path = np.stack((x + 1.6 * np.cumsum(np.cos(bend)), y + 1.6 * np.cumsum(np.sin(bend))), 1) * fine
            cv2.polylines(layer, [path.astype(np.int32)], False, tone * 0.8, 3, cv2.LINE_AA)
        else:
            cv2.fillPoly(layer, [outline.astype(np.int32)], tone)
    rows = np.arange(height * fine)
    for x, size, tone in worn_by.scratches:
        wobble = np.cumsum(random.normal(0, 0.03, len(rows)))
        strength = tone * np.clip(0.75 + _smooth(random.normal(0, 2.5, (len(rows), 1)), 40)[:, 0], 0, 1)
        half = max(1, round(size * fine / 2))
        for offset in range(-half, half):
            columns = np.clip(((x + wobble) * fine + offset).astype(int), 0, width * fine - 1)
            layer[rows, columns] += strength.astype(np.float32)
    if worn_by.splice:
        layer[-3 * fine :] += 0.35
    return np.asarray(cv2.resize(cv2.GaussianBlur(layer, (0, 0), 1.6), (width, height), interpolation=cv2.INTER_AREA))
