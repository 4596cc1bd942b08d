"""Finding the noise of a track, twice a chunk, and where there is speech and music."""

from __future__ import annotations

import numpy as np
import torch

from restore.analysis.noise_floor import BLOCKS, NoiseFloor
from restore.analysis.spectrum import ShortTime
from restore.analysis.speech import SpeechDetector, lasting_tones
from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, State

FRAME_SECONDS = 0.0235
"""Of a short-time spectrum: long enough for a low voice's harmonics, short enough for a t."""


_SOME_TONES, _MUSIC_TONES = 0.02, 0.1
"""Share of lasting tones of speech at most, and of music at least; chords have 0.15 and more, speech 0.001."""


def noise_stft(format: AudioFormat) -> ShortTime:
    """The grid on which noise is measured and taken away."""
    return ShortTime(format.rate, FRAME_SECONDS)


class NoiseAnalyzer(AudioAnalyzer):
    """Follows the noise of every group of channels; hears their mean for speech and music."""

    def begin(self, format: AudioFormat) -> None:
        """Nothing heard yet."""
        self._format = format
        self._floors = [NoiseFloor(noise_stft(format), format.chunk) for _ in format.groups]
        self._speech = SpeechDetector(format.rate, format.chunk)
        self._music: list[float] = []

    def add(self, chunk: AudioChunk) -> None:
        """Hear the next chunk."""
        for floor, group in zip(self._floors, self._format.groups, strict=True):
            floor.add(chunk.samples[list(group)])
        mono = chunk.samples.mean(0)
        self._speech.add(mono)
        stft = noise_stft(self._format)
        for part in range(BLOCKS):
            half = self._format.chunk // BLOCKS
            power = stft.forward(mono[None, part * half : (part + 1) * half]).abs().square()
            tones = lasting_tones(power, stft)
            self._music.append(round(min(1.0, max(0.0, (tones - _SOME_TONES) / (_MUSIC_TONES - _SOME_TONES))), 3))

    def finish(self) -> State:
        """``noise``: (groups, blocks, bins) float32, mean power in the short-time spectrum; 0 where there is none.

        ``speech``: (chunks, frames) uint8, percent of likelihood every 32 ms from each chunk's beginning; ``music``:
        (blocks,) float32 in [0, 1]. Their shares of the track are among the values.
        ``noise_dbfs``: for a person, the level of each group's noise over the whole track; null where there is none.
        """
        trust = 1 - torch.tensor(self._music)
        found = [floor.finish(trust).numpy() for floor in self._floors]
        noise = np.stack(found).astype(np.float32)
        speech, music = self._speech.finish(), np.array(self._music, np.float32)
        values = {
            "noise_dbfs": [_level(one, noise_stft(self._format)) for one in found],
            "speech": round(float((speech > 0.5).float().mean()), 3) if len(speech) else 0.0,
            "music": round(float(music.mean()), 3) if len(music) else 0.0,
        }
        likely = (100 * speech).round().to(torch.uint8).numpy()
        return State(values, {"noise": noise, "speech": likely, "music": music})


def _level(noise: np.ndarray, stft: ShortTime) -> float | None:
    """dB of full scale: by Parseval, two halves of the spectrum, under a window of mean square 1/2."""
    mean = float(noise.mean(0).sum()) if len(noise) else 0.0
    power = 2 * mean / (stft.size * stft.size * 0.5)
    return round(10 * float(np.log10(power)), 1) if power > 1e-14 else None
