"""Measuring a shot's noise before it is taken away."""

from __future__ import annotations

from typing import Any

from restore.analysis.noise import NoiseMeter
from restore.analysis.opponent import opponents
from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer

NAMES = ("luma", "blue", "red")
"""The planes, as the plan calls them."""

FRAMES = 13
"""Looked at, from the middle of a shot."""


class NoiseAnalyzer(Analyzer):
    """The noise of what reaches the stage."""

    sees = "input"

    def wanted(self, shot: Shot) -> range:
        """Consecutive frames, from the middle of the shot."""
        count = min(FRAMES, len(shot))
        first = shot.start + (len(shot) - count) // 2
        return range(first, first + count)

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Forget the shot before."""
        self._meter = NoiseMeter()

    def add(self, batch: FrameBatch) -> None:
        """See one frame."""
        planes = [plane[0].cpu().numpy() for plane in opponents(batch.planes, batch.format.pixel)]
        self._meter.add(planes[0], planes)

    def finish(self) -> dict[str, Any]:
        """``noise``: for luma and the two colour differences what `Noise.as_json` writes."""
        return {"noise": {name: noise.as_json() for name, noise in zip(NAMES, self._meter.found(), strict=False)}}
