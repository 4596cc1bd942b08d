"""The rendering half of `stabilize`: each frame moved by what its plan says."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any, ClassVar

import torch

from restore.errors import OptionError
from restore.frames import FrameBatch, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Finding, Stage, Values, Window
from restore.stages.stabilize.analysis import WeaveAnalyzer
from restore.stages.stabilize.options import StabilizeOptions
from restore.stages.stabilize.warp import LOBES, canvas, shifted, turned

_NEIGHBOURS = 3
"""Frames on each side that lend what the movement bares."""

_Move = tuple[float, float, float, float]
"""Right, down (pixels), clockwise (radians), log enlargement."""


class Stabilize(Stage[StabilizeOptions]):
    """Every plane moved by itself, at its own size; what that bares is filled from neighbouring frames, or cropped."""

    name = "stabilize"
    version = 2
    domain = "planes"
    editable: ClassVar[frozenset[str]] = frozenset({"strength"})

    def window(self) -> Window:
        """Neighbours, if edges are filled from them."""
        return Window() if self.options.crop else Window(_NEIGHBOURS, _NEIGHBOURS)

    def check(self, format: VideoFormat) -> None:
        """Something must be left of the picture, and its chroma must stay in place."""
        crop = self.options.crop
        if 2 * crop >= min(format.width, format.height):
            raise OptionError(f"stabilize: --crop {crop} leaves nothing of {format.width}x{format.height}")
        unit = 1 << max(format.pixel.chroma_shift)
        if crop % unit:
            raise OptionError(f"stabilize: --crop must be a multiple of {unit} for {format.pixel.name}")

    def output_format(self, format: VideoFormat) -> VideoFormat:
        """Smaller if cropped."""
        return format.resized(format.width - 2 * self.options.crop, format.height - 2 * self.options.crop)

    def analyzer(self) -> Analyzer:
        """What finds the weave."""
        return WeaveAnalyzer(self.options)

    def idle(self, values: Values) -> bool:
        """Where no weave was found, and nothing is cropped."""
        still = "shift" not in values or not float(values.get("strength", self.options.strength))
        return still and not self.options.crop

    def findings(self, values: Values) -> tuple[Finding, ...]:
        """Weave, along the worse of both axes."""
        size = max((float(value) for value in values.get("weave", [])), default=0.0)
        return (Finding("weave", f"{size:.1f} px", size / 2),) if "shift" in values else ()

    def open(self, device: Device, format: VideoFormat) -> None:
        """Nothing to load."""

    def process(self, batch: FrameBatch, values: Values) -> tuple[torch.Tensor, ...]:
        """Move the core frames; without a movement, planes are handed back as they are."""
        strength = float(values.get("strength", self.options.strength))
        moves = [_move(values, pts, strength) for pts in batch.pts[batch.core]]
        if not any(moves):
            return tuple(self._cropped(plane[batch.core], batch.format) for plane in batch.planes)
        columns = []
        for plane in batch.planes:
            frames = []
            for place, move in enumerate(moves, batch.core.start):
                frames.append(self._moved(batch, plane, place, move, values) if move else plane[place])
            columns.append(self._cropped(torch.stack(frames), batch.format))
        return tuple(columns)

    def _moved(self, batch: FrameBatch, plane: torch.Tensor, place: int, move: _Move, values: Values) -> torch.Tensor:
        """One plane (h, w) of one frame."""
        height, width = plane.shape[-2:]
        across, along = width / batch.format.width, height / batch.format.height
        right, down, angle, enlarge = move[0] * across, move[1] * along, move[2], move[3]
        swept = (abs(angle) + abs(enlarge)) * max(height, width) / 2
        margin = math.ceil(max(abs(right), abs(down)) + swept) + LOBES
        # Where the picture is cropped no neighbours were asked for: those of the batch must not show.
        others = [] if self.options.crop else _others(batch, plane, place, values, across, along)
        padded = canvas(plane[place], others, margin)
        if not angle and not enlarge:
            return shifted(padded, margin, right, down)
        return turned(padded, margin, right, down, angle, math.exp(enlarge), along / across)

    def _cropped(self, plane: torch.Tensor, format: VideoFormat) -> torch.Tensor:
        crop = self.options.crop
        if not crop:
            return plane
        down, right = crop * plane.shape[-2] // format.height, crop * plane.shape[-1] // format.width
        return plane[..., down : plane.shape[-2] - down, right : plane.shape[-1] - right]


def _row(values: Values, pts: int) -> int | None:
    """Which row of the plan is the frame's."""
    times = values.get("pts", [])
    row = bisect_left(times, pts)
    return row if row < len(times) and times[row] == pts else None


def _move(values: Values, pts: int, strength: float) -> _Move | None:
    """Right, down, clockwise and log enlargement of a frame; None if it stays where it is."""
    row = _row(values, pts)
    if row is None or not strength:
        return None
    turn = values["turn"][row] if "turn" in values else (0.0, 0.0)
    move = tuple(strength * float(value) for value in (*values["shift"][row], *turn))
    return move if any(abs(value) > 1e-6 for value in move) else None  # type: ignore[return-value]


def _others(
    batch: FrameBatch, plane: torch.Tensor, place: int, values: Values, across: float, along: float
) -> list[tuple[torch.Tensor, float, float]]:
    """Planes of the neighbours, the nearest last, and how far the scene lies right and down in them."""
    path: list[Any] = values["path"]
    own = _row(values, batch.pts[place])
    found = []
    for far in range(_NEIGHBOURS, 0, -1):
        for other in (place - far, place + far):
            if not 0 <= other < len(batch.pts) or not batch.valid[other]:
                continue
            row = _row(values, batch.pts[other])
            if row is not None and own is not None:
                right, down = (float(path[row][axis]) - float(path[own][axis]) for axis in (0, 1))
                found.append((plane[other], right * across, down * along))
    return found
