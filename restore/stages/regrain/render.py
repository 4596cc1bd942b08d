"""The rendering half of `regrain`: noise of the plan's spectrum, seeded by each frame's pts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from restore.analysis.noise import LEVELS, NONE, PLANES, Noise
from restore.analysis.opponent import opponents, with_changes
from restore.errors import OptionError
from restore.frames import FrameBatch, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Stage, Values
from restore.stages.regrain.analysis import GrainAnalyzer
from restore.stages.regrain.options import RegrainOptions
from restore.stages.regrain.synthesis import fast_size, field, gaussian_filter, measured_filter

_MIDDLE = 4, 5
"""The levels around mid-grey."""


class Regrain(Stage[RegrainOptions]):
    """Adds grain to luma and, where the source had grain of colour, to the colour differences. Window 0."""

    name = "regrain"
    domain = "planes"
    needs_progressive = True
    editable: ClassVar[frozenset[str]] = frozenset({"strength", "amount", "size", "color", "noise"})

    def analyzer(self) -> Analyzer:
        """What measures the source's grain."""
        return GrainAnalyzer()

    def checked_edit(self, changes: Values) -> dict[str, Any]:
        """As for every stage; noise is checked for its form."""
        if "noise" in changes:
            try:
                Noise.parse_all(changes["noise"])
            except ValueError as error:
                raise OptionError(f"regrain: noise: {error}; write it as the plan does") from None
        rest = {name: value for name, value in changes.items() if name != "noise"}
        return {**changes, **super().checked_edit(rest)}

    def idle(self, values: Values) -> bool:
        """Where there is no grain to put back."""
        told = {**self.options.model_dump(), **values}
        return not any(noise.is_there for noise in _grains(told, len(PLANES)))

    def open(self, device: Device, format: VideoFormat) -> None:
        """Nothing to load."""

    def process(self, batch: FrameBatch, values: Values) -> tuple[Tensor, ...]:
        """Lay grain over the core frames; planes without grain are handed back as they are."""
        told = {**self.options.model_dump(), **values}
        core = tuple(plane[batch.core] for plane in batch.planes)
        split = opponents(core, batch.format.pixel)
        grains = _grains(told, len(split))
        if not any(noise.is_there for noise in grains):
            return core
        pts = batch.pts[batch.core]
        changes: list[Tensor | None] = []
        for place, (plane, noise) in enumerate(zip(split, grains, strict=True)):
            if not noise.is_there:
                changes.append(None)
                continue
            filter = _filter(told, noise, place, len(plane[0]), plane.shape[2])
            shape = plane.shape[1], plane.shape[2]
            made = [_field(filter, shape, told["seed"], time, place) for time in pts]
            sigma = [torch.from_numpy(noise.at(tone.cpu().numpy())) for tone in _toned(split[0], plane)]
            changes.append((torch.stack(made) * torch.stack(sigma)).to(plane))
        return with_changes(core, changes, batch.format.pixel)

    def stand_in(self, batch: FrameBatch, values: Values) -> tuple[Tensor, ...]:
        """The picture as it is: grain hides what analyzers of later stages look for."""
        return tuple(plane[batch.core] for plane in batch.planes)


def _grains(told: dict[str, Any], planes: int) -> list[Noise]:
    """The grain to be added to each plane."""
    found = Noise.parse_all(told.get("noise", {}))
    flat = np.ones((8, 8), np.float32)
    found += [Noise(np.zeros(len(LEVELS), np.float32), flat)] * (planes - len(found))
    found = found[:planes]
    factor = float(told["strength"])
    if told["amount"] is not None:
        wanted, middle = told["amount"] / 100, float(found[0].sigma[[*_MIDDLE]].mean())
        if middle > NONE:
            factor *= wanted / middle
        else:  # no grain to go by: that of a developed layer, from none to full
            tones = np.asarray(LEVELS, np.float32)
            found[0] = Noise(wanted * (0.2 + 0.8 * np.sqrt(4 * tones * (1 - tones))), found[0].spectrum)
    factors = [factor * (float(told["color"]) if place else 1) for place in range(planes)]
    return [
        Noise(np.asarray(f * noise.sigma, np.float32), noise.spectrum) for f, noise in zip(factors, found, strict=True)
    ]


def _filter(told: dict[str, Any], noise: Noise, place: int, height: int, width: int) -> Tensor:
    size = fast_size(height), fast_size(width)
    if told["size"] is not None:
        return _gaussian(float(told["size"]), *size)
    rows = told.get("rows", [])
    scale = height / rows[place] if place < len(rows) else 1.0
    return _measured(noise.spectrum.tobytes(), *size, scale)


@lru_cache(maxsize=6)
def _gaussian(size: float, height: int, width: int) -> Tensor:
    return gaussian_filter(size, height, width)


@lru_cache(maxsize=6)
def _measured(spectrum: bytes, height: int, width: int, scale: float) -> Tensor:
    powers = np.frombuffer(spectrum, np.float32).reshape(8, 8).copy()
    return measured_filter(torch.from_numpy(powers), height, width, scale)


def _field(filter: Tensor, shape: tuple[int, int], seed: int, pts: int, place: int) -> Tensor:
    """Grain of one plane of one frame, (h, w) of unit variance."""
    generator = torch.Generator().manual_seed(((seed * 1_000_003 + pts) * len(PLANES) + place) % 2**63)
    return field(filter, fast_size(shape[1]), generator)[: shape[0], : shape[1]]


def _toned(luma: Tensor, plane: Tensor) -> Tensor:
    """Luma at the size of a plane, a little smoothed: grain's strength follows the picture, not what grain is left."""
    if luma.shape != plane.shape:
        luma = F.interpolate(luma[:, None], plane.shape[1:], mode="area")[:, 0]
    return F.avg_pool2d(luma[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
