"""Finding where a track was clipped: levels that far too many of its peaks share, chunk by chunk."""

from __future__ import annotations

import numpy as np
import torch

from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, State

TOLERANCE = 0.004
"""Share of the ceiling by which clipped samples may differ: converters, coders and 8 bits are not exact."""
_FEWEST = 12
"""Samples at the ceiling below which nothing is said of a chunk."""
_CROWD = 6.0
"""How many times as many samples must lie at the ceiling as in a band as wide beneath it."""
_QUIETEST = 0.01
"""Peaks lower than -40 dBFS are no clipping: they are silence with dither."""


class ClippingAnalyzer(AudioAnalyzer):
    """Counts the samples next to each chunk's largest, above and below zero apart."""

    def begin(self, format: AudioFormat) -> None:
        """Nothing heard yet."""
        self._rows: list[torch.Tensor] = []

    def add(self, chunk: AudioChunk) -> None:
        """Measure one chunk."""
        self._rows.append(torch.stack((_ceilings(chunk.samples), _ceilings(-chunk.samples)), 1))

    def finish(self) -> State:
        """``ceilings``: (chunks, channels, 2) float32, at which samples above and below zero are cut; 0: nowhere.

        ``clipped_at``: for a person, the lowest of them in dBFS, null where there is none; ``clipped_chunks``: how many
        chunks have one.
        """
        found = torch.stack(self._rows).numpy() if self._rows else np.zeros((0, 1, 2), np.float32)
        some = found[found > 0]
        level = round(20 * float(np.log10(some.min())), 2) if some.size else None
        chunks = int((found > 0).any((1, 2)).sum()) if found.size else 0
        return State({"clipped_at": level, "clipped_chunks": chunks}, {"ceilings": found})


def _ceilings(samples: torch.Tensor) -> torch.Tensor:
    """(channels,): the level at which positive samples pile up under a lid; 0 where they do not."""
    top = samples.amax(1, keepdim=True).clamp(min=1e-9)
    at_top = (samples >= top * (1 - TOLERANCE)).sum(1)
    beneath = ((samples >= top * (1 - 5 * TOLERANCE)) & (samples < top * (1 - TOLERANCE))).sum(1) / 4
    lasting = ((samples[:, 1:] >= top * (1 - TOLERANCE)) & (samples[:, :-1] >= top * (1 - TOLERANCE))).sum(1)
    cut = (at_top >= _FEWEST) & (at_top > _CROWD * beneath) & (lasting * 3 > at_top) & (top[:, 0] > _QUIETEST)
    return torch.where(cut, top[:, 0], torch.zeros_like(top[:, 0]))
