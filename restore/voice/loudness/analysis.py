"""Measuring loudness: ITU-R BS.1770-4, annex 1, as EBU R 128 uses it."""

from __future__ import annotations

from restore.analysis.loudness import LoudnessMeter
from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, State


class LoudnessAnalyzer(AudioAnalyzer):
    """Integrated loudness of the track as it reaches the stage."""

    def begin(self, format: AudioFormat) -> None:
        """A fresh meter."""
        self._meter = LoudnessMeter(format)

    def add(self, chunk: AudioChunk) -> None:
        """Count its blocks."""
        self._meter.add(chunk.samples)

    def finish(self) -> State:
        """``{"loudness": LUFS}``, or null where the track is silent."""
        found = self._meter.integrated()
        return State({"loudness": None if found is None else round(found, 3)})
