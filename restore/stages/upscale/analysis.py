"""Measuring how degraded each shot is, so that the network can be told."""

from __future__ import annotations

from statistics import median
from typing import Any

from restore.analysis.degradation import DegradationEstimator, load_estimator
from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer, Device
from restore.stages.upscale.options import DEGRADATIONS
from restore.zoo import weights_file

ESTIMATOR = "reel-degradation"
_FRAMES_A_SHOT = 8


class DegradationAnalyzer(Analyzer):
    """Median blur, noise and compression over a few frames spread through the shot."""

    sees = "input"

    def __init__(self) -> None:
        self._estimator: DegradationEstimator | None = None
        self._found: list[tuple[float, ...]] = []

    def wanted(self, shot: Shot) -> range:
        """A few frames, evenly spread, the shot's edges left out where it is long enough."""
        step = max(1, len(shot) // _FRAMES_A_SHOT)
        return range(shot.start + (len(shot) - 1) % step // 2, shot.end, step)

    def open(self, device: Device) -> None:
        """Load the estimator."""
        self._estimator = load_estimator(weights_file(ESTIMATOR)[0])

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Forget the shot before."""
        self._found = []

    def add(self, batch: FrameBatch) -> None:
        """Measure one frame."""
        assert self._estimator is not None
        measured = self._estimator.measure(batch.pixels[batch.core])
        self._found.append(tuple(getattr(measured, name) for name in DEGRADATIONS))

    def finish(self) -> dict[str, Any]:
        """``{"blur": 0..1, "noise": 0..1, "compression": 0..1}``."""
        columns = zip(*self._found, strict=True)
        return {name: round(median(column), 3) for name, column in zip(DEGRADATIONS, columns, strict=True)}
