"""Finding the noise of a track: its spectrum, twice a chunk."""

from __future__ import annotations

import numpy as np

from restore.analysis.noise_floor import NoiseFloor
from restore.analysis.spectrum import ShortTime
from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, State

FRAME_SECONDS = 0.0235
"""Of a short-time spectrum: long enough for a low voice's harmonics, short enough for a t."""


def noise_stft(format: AudioFormat) -> ShortTime:
    """The grid on which noise is measured and taken away."""
    return ShortTime(format.rate, FRAME_SECONDS)


class NoiseAnalyzer(AudioAnalyzer):
    """Follows the noise of every group of channels."""

    def begin(self, format: AudioFormat) -> None:
        """Nothing heard yet."""
        self._format = format
        self._floors = [NoiseFloor(noise_stft(format), format.chunk) for _ in format.groups]

    def add(self, chunk: AudioChunk) -> None:
        """Hear the next chunk."""
        for floor, group in zip(self._floors, self._format.groups, strict=True):
            floor.add(chunk.samples[list(group)])

    def finish(self) -> State:
        """``noise``: (groups, blocks, bins) float32, mean power in the short-time spectrum; 0 where there is none.

        ``noise_dbfs``: for a person, the level of each group's noise over the whole track; null where there is none.
        """
        found = [floor.finish().numpy() for floor in self._floors]
        noise = np.stack(found).astype(np.float32)
        return State({"noise_dbfs": [_level(one, noise_stft(self._format)) for one in found]}, {"noise": noise})


def _level(noise: np.ndarray, stft: ShortTime) -> float | None:
    """dB of full scale: by Parseval, two halves of the spectrum, under a window of mean square 1/2."""
    mean = float(noise.mean(0).sum()) if len(noise) else 0.0
    power = 2 * mean / (stft.size * stft.size * 0.5)
    return round(10 * np.log10(power), 1) if power > 1e-14 else None
