"""The rendering half of `deflicker`: each frame's values times the factors its plan names."""

from __future__ import annotations

from bisect import bisect_left
from typing import ClassVar

import torch
import torch.nn.functional as F

from restore.analysis.brightness import BLACK
from restore.frames import FrameBatch, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Finding, Stage, Values
from restore.stages.deflicker.analysis import FlickerAnalyzer
from restore.stages.deflicker.options import DeflickerOptions

_STEPS = 4096
"""Entries of the table of factors over display values."""


class Deflicker(Stage[DeflickerOptions]):
    """Luma by a tone curve and a coarse grid of factors; chroma by the same factors, so that colours stay. Window 0."""

    name = "deflicker"
    domain = "planes"
    editable: ClassVar[frozenset[str]] = frozenset({"strength", "local"})

    def analyzer(self) -> Analyzer:
        """What finds the flicker."""
        return FlickerAnalyzer(self.options)

    def idle(self, values: Values) -> bool:
        """Where no flicker was found."""
        return not float(values.get("strength", self.options.strength)) or not ("tones" in values or "cells" in values)

    def findings(self, values: Values) -> tuple[Finding, ...]:
        """Flicker, of the whole picture or of its parts."""
        size = max(float(values.get("flicker", 0)), float(values.get("local_flicker", 0)))
        return (Finding("flicker", f"{size:.1f} %", size / 3),) if size >= self.options.least else ()

    def open(self, device: Device, format: VideoFormat) -> None:
        """Nothing to load."""

    def process(self, batch: FrameBatch, values: Values) -> tuple[torch.Tensor, ...]:
        """Even out the core frames; planes that need nothing are handed back as they are."""
        planes = tuple(plane[batch.core] for plane in batch.planes)
        strength = float(values.get("strength", self.options.strength))
        local = strength * float(values.get("local", self.options.local))
        changed = [self._evened(batch, place, values, strength, local) for place in range(len(batch))]
        if not any(frame is not None for frame in changed):
            return planes
        columns = []
        for number, plane in enumerate(planes):
            frames = [plane[place] if new is None else new[number] for place, new in enumerate(changed)]
            columns.append(torch.stack(frames))
        return tuple(columns)

    def _evened(
        self, batch: FrameBatch, place: int, values: Values, strength: float, local: float
    ) -> list[torch.Tensor] | None:
        """The planes of one core frame; None if it stays as it is."""
        planes = [plane[batch.core.start + place] for plane in batch.planes]
        luma = batch.pixels[batch.core.start + place, 0]
        factor = _factor(luma, batch.pts[batch.core.start + place], values, strength, local)
        if factor is None:
            return None
        colours = 1 if batch.format.pixel.model == "gray" else 3
        lift = (factor - 1) * BLACK
        if batch.format.pixel.model == "rgb":
            changed = [plane * factor + lift for plane in planes[:colours]]
        else:
            changed = [planes[0] * factor + lift]
            if colours == 3:
                coarse = F.adaptive_avg_pool2d(factor[None, None], (planes[1].shape[0], planes[1].shape[1]))[0, 0]
                changed += [plane * coarse for plane in planes[1:3]]
        return changed + planes[colours:]


def _factor(luma: torch.Tensor, pts: int, values: Values, strength: float, local: float) -> torch.Tensor | None:
    """(H, W) the factor on display values above black; None where it is 1 everywhere."""
    times = values.get("pts", [])
    row = bisect_left(times, pts)
    if row == len(times) or times[row] != pts:
        return None
    factor = None
    if strength and "tones" in values and any(values["tones"][row]):
        table = _table(values["levels"], values["tones"][row], strength).to(luma.device)
        factor = table[(luma * (_STEPS - 1)).clamp_(0, _STEPS - 1).to(torch.int32)]
    if local and "cells" in values and any(values["cells"][row]):
        grid = torch.tensor(values["cells"][row], device=luma.device).reshape(1, 1, *values["grid"]).mul(local).exp()
        spread = F.interpolate(grid, luma.shape, mode="bicubic", align_corners=False)[0, 0]
        factor = spread if factor is None else factor * spread
    return factor


def _table(levels: list[float], logs: list[float], strength: float) -> torch.Tensor:
    """(_STEPS,) factors over display values from 0 to 1: logs interpolated linearly between levels."""
    x = torch.linspace(0, 1, _STEPS)
    nodes, y = torch.tensor(levels), torch.tensor(logs) * strength
    place = torch.searchsorted(nodes, x.clamp(levels[0], levels[-1]), right=True).clamp(1, len(levels) - 1)
    share = (x - nodes[place - 1]) / (nodes[place] - nodes[place - 1])
    return torch.lerp(y[place - 1], y[place], share.clamp(0, 1)).exp()
