"""How strong a shot's grain or noise is at every brightness, and its spectrum.

Two frames of the same thing differ by their noise alone. The difference and the mean of two equally noisy frames are
independent, so blocks chosen by the mean, for being flat, tell from their difference what the noise is without any bias
from the choice; in flat blocks a motion that was found not quite right does no harm either. Of what is left the median
is taken: dirt, cuts of an encoder and movement are in the minority. A single frame is judged by its flattest blocks
(Ponomarenko, Lukin, Zriakhov, Kaarna, Astola, "An automatic approach to lossy compression of AVIRIS images", IGARSS
2007).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Field, Plane, Small, enlarged, flow_between, moved, reduced_luma, reduction
from restore.frames import Shot

BLOCK = 8
"""Side of the blocks whose cosine transform gives the spectrum."""
LEVELS = tuple(round(0.05 + 0.1 * step, 2) for step in range(10))
"""Brightness, display values, at which noise is measured."""

PLANES = ("luma", "blue", "red")
"""What is measured, as the plan calls it: luma and the two colour differences."""
NONE = 0.0025
"""Noise below this, half a step of 8 bits, is rounding and coding: such a plane has none."""

_TABLE = 2001
"""Brightnesses for which noise is looked up; `LEVELS` are among them."""

Array = npt.NDArray[np.float32]

_FRAMES = 13
_MOST_BLOCKS = 6000
"""Looked at of one pair of frames."""
_FEWEST = 24
"""Blocks a level must have to be believed."""
_STEEPEST = 1.8
"""No level has noise this many times that of the usual one."""
_FLATTEST = 0.3
"""Share of a level's blocks that are believed."""


def cosines() -> Array:
    """(BLOCK, BLOCK): the orthonormal cosine transform (DCT-II), a row a frequency."""
    n = np.arange(BLOCK)
    basis = np.cos(np.pi * (2 * n[None, :] + 1) * n[:, None] / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)


@dataclass(frozen=True)
class Noise:
    """The noise of one plane."""

    sigma: Array
    """(10,) standard deviation at `LEVELS` of luma, of nominal values."""
    spectrum: Array
    """(8, 8) power by vertical and horizontal frequency, row and column k standing for k / 16 cycles a pixel;
    its mean is 1."""

    @property
    def is_there(self) -> bool:
        """Whether it is more than rounding."""
        return bool(np.median(self.sigma) > NONE)

    def as_json(self) -> dict[str, Any]:
        """As the plan holds it: ``sigma`` in percent of the range."""
        rows = [" ".join(f"{power:.3f}" for power in row) for row in self.spectrum]
        return {"sigma": [round(100 * float(value), 3) for value in self.sigma], "spectrum": rows}

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Noise:
        """Read what `as_json` wrote. Raises ValueError or KeyError."""
        sigma: Array = np.asarray(found["sigma"], np.float32) / np.float32(100)
        spectrum = np.asarray([[float(power) for power in row.split()] for row in found["spectrum"]], np.float32)
        if sigma.shape != (len(LEVELS),) or spectrum.shape != (BLOCK, BLOCK):
            raise ValueError(f"noise is {len(LEVELS)} levels and a spectrum of {BLOCK} rows of {BLOCK}")
        if not (np.isfinite(sigma).all() and np.isfinite(spectrum).all() and (sigma >= 0).all()):
            raise ValueError("noise is not negative")
        return cls(sigma, np.maximum(spectrum, 0))

    @classmethod
    def parse_all(cls, found: Mapping[str, Any]) -> list[Noise]:
        """The noise of the planes, in the order of `PLANES`. Raises ValueError."""
        try:
            noises = [cls.parse(found[name]) for name in PLANES if name in found]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{error} is missing or of the wrong kind") from None
        if len(noises) not in (0, 1, 3) or set(found) - set(PLANES):
            raise ValueError(f"noise is that of luma, or of {', '.join(PLANES)}")
        return noises

    def at(self, luma: Plane) -> Plane:
        """Standard deviation where luma has these values."""
        table = np.interp(np.arange(_TABLE) / (_TABLE - 1), LEVELS, self.sigma).astype(np.float32)
        place = np.clip(luma * np.float32(_TABLE - 1) + np.float32(0.5), 0, _TABLE - 1).astype(np.uint16)
        return np.asarray(np.take(table, place), np.float32)


def blocks_of(plane: Array) -> Array:
    """(n, 8, 8): the whole blocks of a plane, side by side, row by row."""
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    cut = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return cut.swapaxes(1, 2).reshape(-1, BLOCK, BLOCK)


def frames_to_measure(shot: Shot) -> range:
    """A few consecutive frames from the middle of a shot."""
    count = min(_FRAMES, len(shot))
    first = shot.start + (len(shot) - count) // 2
    return range(first, first + count)


class NoiseMeter:
    """Watches consecutive frames of one shot, a few of them; then says what noise they have, plane by plane."""

    def __init__(self) -> None:
        self._before: tuple[list[Plane], Small] | None = None
        self._rows: list[list[Array]] = []
        self._single: list[Array] = []

    def add(self, planes: Sequence[Plane]) -> None:
        """The next frame: luma, nominal, and with colour its blue and red difference, each of its own size."""
        luma = planes[0]
        small = reduced_luma(luma, reduction(*luma.shape))
        if self._before is None:
            self._rows = [[] for _ in planes]
            self._single = [_rows_of(plane, plane, fitted(luma, plane), single=True) for plane in planes]
        else:
            others, other_small = self._before
            field = flow_between(small, other_small)
            for rows, plane, other in zip(self._rows, planes, others, strict=True):
                there = _fetched(other, field)
                mean, difference = (plane + there) * np.float32(0.5), (plane - there) * np.float32(np.sqrt(0.5))
                rows.append(_rows_of(mean, difference, fitted(luma, plane)))
        self._before = (list(planes), small)

    def found(self) -> dict[str, Noise]:
        """The noise of each plane."""
        noises = {}
        for name, rows, single in zip(PLANES, self._rows, self._single, strict=False):
            pairs = np.concatenate([*rows, single[:0]])
            noises[name] = _noise_of(pairs if len(pairs) else single)
        return noises


def fitted(luma: Plane, plane: Plane) -> Plane:
    """Luma at the size of a plane."""
    if luma.shape == plane.shape:
        return luma
    return np.asarray(cv2.resize(luma, plane.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _fetched(other: Plane, field: Field) -> Plane:
    """The other frame moved by whole pixels, which leaves its noise as it is."""
    return moved(other, np.round(enlarged(field, *other.shape)), cv2.INTER_NEAREST)


def _rows_of(mean: Plane, difference: Plane, luma: Plane, single: bool = False) -> Array:
    """(n, 2 + 64): for blocks of a frame their brightness, their texture, and the power of their difference.

    Blocks that do not differ at all are left out: an encoder, or a repeated frame, copied them.
    """
    basis = cosines()
    means, differences, lumas = blocks_of(mean), blocks_of(difference), blocks_of(luma)
    if len(means) > _MOST_BLOCKS:
        chosen = np.linspace(0, len(means) - 1, _MOST_BLOCKS).astype(int)
        means, differences, lumas = means[chosen], differences[chosen], lumas[chosen]
    both = np.kron(basis, basis).T  # as one product of large matrices: quick
    power = (differences.reshape(-1, BLOCK * BLOCK) @ both) ** 2
    texture = ((means.reshape(-1, BLOCK * BLOCK) @ both) ** 2).reshape(-1, BLOCK, BLOCK)
    frequency = np.add.outer(np.arange(BLOCK), np.arange(BLOCK))
    coarse = (frequency > 0) & (frequency <= (2 if single else 4))
    rows = np.empty((len(means), 2 + BLOCK * BLOCK), np.float32)
    rows[:, 0] = lumas.mean(axis=(1, 2))
    rows[:, 1] = texture[:, coarse].sum(axis=1)
    rows[:, 2:] = power
    return np.asarray(rows[np.count_nonzero(differences, axis=(1, 2)) > BLOCK * BLOCK // 2], np.float32)


def _noise_of(rows: Array) -> Noise:
    """Noise by brightness and its spectrum, of the flattest blocks of every level."""
    flat = np.ones((BLOCK, BLOCK), np.float32)
    level = np.clip(((rows[:, 0]) * 10).astype(int), 0, len(LEVELS) - 1)
    variance, counts = np.full(len(LEVELS), np.nan), np.zeros(len(LEVELS), int)
    powers = []
    for number in range(len(LEVELS)):
        here = rows[level == number]
        if len(here) < _FEWEST:
            continue
        chosen = here[np.argsort(here[:, 1], kind="stable")[: max(_FEWEST, int(len(here) * _FLATTEST))]]
        energy = chosen[:, 3:].sum(axis=1) / (BLOCK * BLOCK - 1)
        middle = float(np.median(energy))
        variance[number], counts[number] = middle, len(here)
        usual = chosen[(energy < 2 * middle) & (energy > 0)]
        if middle > 0 and len(usual):
            powers.append(usual[:, 2:] / middle)
    if not powers:
        return Noise(np.zeros(len(LEVELS), np.float32), flat)
    known = np.flatnonzero(np.isfinite(variance))
    typical = np.sort(np.repeat(variance[known], counts[known]))[counts[known].sum() // 2]
    variance = np.minimum(variance, _STEEPEST**2 * typical)  # a level that only shows in what moves misleads
    curve = np.interp(np.arange(len(LEVELS)), known, variance[known])
    spectrum = np.concatenate(powers).mean(axis=0).reshape(BLOCK, BLOCK)
    # What lies at 0 is differences of light as much as grain's: taken from around it, as for a separable spectrum.
    beside = spectrum[0, 1] * spectrum[1, 0]
    spectrum[0, 0] = min(beside / max(spectrum[1, 1], 1e-9), 2 * np.sqrt(beside))
    scale = float(spectrum.mean())
    return Noise(np.sqrt(curve * scale).astype(np.float32), np.asarray(spectrum / max(scale, 1e-12), np.float32))
