"""Finding the noise of a track, twice a chunk, and where there is speech and music."""

from __future__ import annotations

import math

import numpy as np
import torch

from restore.analysis.noise_floor import BLOCKS, NoiseFloor
from restore.analysis.rank import ranked
from restore.analysis.spectrum import ShortTime, power_of
from restore.analysis.speech import SpeechDetector, lasting_tones
from restore.frames import AudioChunk, AudioFormat
from restore.nets.speech import FRAME, RATE
from restore.pipeline.audio_contract import AudioAnalyzer, State

FRAME_SECONDS = 0.0235
"""Of a short-time spectrum: long enough for a low voice's harmonics, short enough for a t."""


_SOME_TONES, _MUSIC_TONES = 0.02, 0.1
"""Share of lasting tones of speech at most, and of music at least; chords have 0.15 and more, speech 0.001."""

_KIND, _BOLD = 9.0, 20.0
"""dB by which noise is turned down at most, if it is faint or comes and goes, and if it is loud and steady: what comes
and goes is left in shreds, which tire more the less there is around them."""
_FAINT, _LOUD = 20.0, 6.0
"""dB of the voice over the noise: where noise is faint, and where it is loud."""
_UNSTEADY, _STEADY = 0.6, 0.75
"""Share of the spectrum that holds nothing but the lasting noise, in the pauses of the voice."""
_PAUSE, _SPOKEN, _LEAST_PAUSES = 0.1, 0.5, 0.05
"""Likelihood of speech below which it pauses, and above which somebody speaks; and the share of a track, that of the
least likelihood, which counts as pauses if nothing else does."""
_ENOUGH_SECONDS, _UNKNOWN = 0.15, 12.0
"""Of pauses, and of speech, without which nothing is known of them; and what is taken then."""


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
            power = power_of(stft.forward(mono[None, part * half : (part + 1) * half]))
            tones = lasting_tones(power, stft)
            self._music.append(round(min(1.0, max(0.0, (tones - _SOME_TONES) / (_MUSIC_TONES - _SOME_TONES))), 3))

    def finish(self) -> State:
        """``noise``: (groups, blocks, bins) float32, mean power in the short-time spectrum; 0 where there is none.

        ``speech``: (chunks, frames) uint8, percent of likelihood every 32 ms from each chunk's beginning; ``music``:
        (blocks,) float32 in [0, 1]. Their shares of the track are among the values.
        ``atten_limit``: dB for each group, where a person gives none: `_KIND` where the noise is faint, or comes and
        goes, up to `_BOLD` where it is loud and steady.
        ``noise_dbfs``: for a person, the level of each group's noise over the whole track; null where there is none.
        """
        trust = 1 - torch.tensor(self._music)
        found = [floor.finish(trust).numpy() for floor in self._floors]
        noise = np.stack(found).astype(np.float32)
        speech, music = self._speech.finish(), np.array(self._music, np.float32)
        limits = [self._limit(floor, speech) for floor in self._floors]
        values = {
            "noise_dbfs": [_level(one, noise_stft(self._format)) for one in found],
            "speech": round(float((speech > 0.5).float().mean()), 3) if len(speech) else 0.0,
            "music": round(float(music.mean()), 3) if len(music) else 0.0,
            "atten_limit": limits,
        }
        likely = (100 * speech).round().to(torch.uint8).numpy()
        return State(values, {"noise": noise, "speech": likely, "music": music})

    def _limit(self, floor: NoiseFloor, speech: torch.Tensor) -> float:
        """How far the noise of one group may be turned down: what the pauses of the voice say."""
        if not floor.power:
            return _UNKNOWN
        power, steady = torch.cat(floor.power), torch.cat(floor.steady)
        at = torch.arange(len(power)) * noise_stft(self._format).hop
        likely = speech_at(at, speech, self._format)
        pauses = likely <= max(_PAUSE, float(ranked(likely, int(_LEAST_PAUSES * len(likely)))))
        spoken = likely > _SPOKEN
        if min(int(pauses.sum()), int(spoken.sum())) < noise_stft(self._format).frames(_ENOUGH_SECONDS):
            return _UNKNOWN
        noise = float(power[pauses].median())
        over = 10 * math.log10(max(1e-20, float(power[spoken].mean()) - noise) / max(1e-20, noise))
        return attenuation(over, float(steady[pauses].mean()))


def attenuation(over: float, steady: float) -> float:
    """dB by which to turn noise down that the voice is `over` dB above, and whose share in pauses is `steady`."""
    loud = min(1.0, max(0.0, (_FAINT - over) / (_FAINT - _LOUD)))
    even = min(1.0, max(0.0, (steady - _UNSTEADY) / (_STEADY - _UNSTEADY)))
    return round(_KIND + (_BOLD - _KIND) * loud * even, 1)


def speech_at(at: torch.Tensor, speech: torch.Tensor, format: AudioFormat) -> torch.Tensor:
    """How likely somebody speaks at samples `at`, from (chunks, frames) as `NoiseAnalyzer` has it."""
    if not len(speech):
        return torch.zeros(at.shape, device=at.device)
    chunk = (at // format.chunk).clamp(0, len(speech) - 1)
    frame = ((at - chunk * format.chunk) * RATE // (format.rate * FRAME)).clamp(0, speech.shape[1] - 1)
    return speech[chunk, frame]


def _level(noise: np.ndarray, stft: ShortTime) -> float | None:
    """dB of full scale: by Parseval, two halves of the spectrum, under a window of mean square 1/2."""
    mean = float(noise.mean(0).sum()) if len(noise) else 0.0
    power = 2 * mean / (stft.size * stft.size * 0.5)
    return round(10 * float(np.log10(power)), 1) if power > 1e-14 else None
