"""Finding the levels of a shot, from frames spread through it."""

from __future__ import annotations

from typing import Any

from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer
from restore.stages.refade.estimate import Levels, measured

_FRAMES = 24


class FadeAnalyzer(Analyzer):
    """Counts the values of some frames of the shot."""

    sees = "source"

    def __init__(self) -> None:
        self._levels = Levels()

    def wanted(self, shot: Shot) -> range:
        """Frames spread evenly."""
        return range(shot.start, shot.end, max(1, len(shot) // _FRAMES))

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Forget the shot before."""
        self._levels = Levels()

    def add(self, batch: FrameBatch) -> None:
        """Count a frame."""
        self._levels.add(batch.pixels[batch.core])

    def finish(self) -> dict[str, Any]:
        """See `measured`; what is done about it, the whole film decides (`settled`)."""
        return measured(self._levels)
