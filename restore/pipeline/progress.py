"""What a running job tells whoever watches."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["list", "analyse", "render", "join"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one phase has come."""

    phase: Phase
    done: int
    """Frames, or seconds of sound, finished in this phase."""
    total: int | None
    """Of this phase, as far as known."""
    fps: float | None = None
    """So many of them a second, over the last seconds."""
    remaining: float | None = None
    """Seconds to go in this phase, estimated."""
    unit: str = "frames"
    """What is counted: ``frames``, or ``s of sound``."""


OnProgress = Callable[[Progress], None]


class Meter:
    """Counts frames of one phase and reports at most a few times a second."""

    _EVERY = 0.25
    _WINDOW = 20.0

    def __init__(
        self, phase: Phase, total: int | None, report: OnProgress | None, done: int = 0, unit: str = "frames"
    ) -> None:
        self.phase: Phase = phase
        self.unit = unit
        self.total = total
        self.done: float = done
        self._report = report
        self._samples: deque[tuple[float, float]] = deque([(time.monotonic(), done)])
        self._last = 0.0
        self._send(force=True)

    def add(self, frames: float = 1) -> None:
        """So many more are done."""
        self.done += frames
        self._send()

    def finish(self) -> None:
        """Report the final state."""
        self._send(force=True)

    def _send(self, force: bool = False) -> None:
        now = time.monotonic()
        if self._report is None or (not force and now - self._last < self._EVERY):
            return
        self._last = now
        self._samples.append((now, self.done))
        while len(self._samples) > 2 and now - self._samples[0][0] > self._WINDOW:
            self._samples.popleft()
        span, frames = now - self._samples[0][0], self.done - self._samples[0][1]
        fps = frames / span if span > 0 and frames > 0 else None
        remaining = (self.total - self.done) / fps if fps and self.total is not None else None
        self._report(Progress(self.phase, round(self.done), self.total, fps, remaining, self.unit))
