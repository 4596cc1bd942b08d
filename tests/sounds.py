"""Small sound files made on the fly, and what can be read back of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import wavfile

from restore.media.sound import SoundReader, SoundTrack, probe_sound

Samples = npt.NDArray[np.float32]


def noise(rate: int, seconds: float, channels: int = 1, seed: int = 0) -> Samples:
    """(channels, n): a voice-like noise, no two stretches alike, peak 0.5."""
    random = np.random.default_rng(seed)
    length = round(rate * seconds)
    made = random.standard_normal((channels, length + 8))
    made = sum(made[:, place : place + length] for place in range(8))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * np.arange(length) / rate * 0.7)
    return (0.5 * made * swell / np.abs(made).max()).astype(np.float32)


def write_wav(path: Path, samples: npt.NDArray[Any], rate: int, kind: str = "s16") -> Path:
    """(channels, n) float samples as 16-, 32-bit or float WAV."""
    if kind == "s16":
        stored = np.clip(np.rint(samples * 2.0**15), -(2.0**15), 2.0**15 - 1).astype(np.int16)
    elif kind == "s32":
        stored = np.clip(np.rint(samples.astype(np.float64) * 2.0**31), -(2.0**31), 2.0**31 - 1).astype(np.int32)
    else:
        stored = samples.astype(np.float32)
    wavfile.write(path, rate, stored.T)
    return path


def hear(path: Path, number: int = 1) -> tuple[SoundTrack, Samples]:
    """A track of a file, and all its samples."""
    track = probe_sound(path).tracks[number - 1]
    return track, np.concatenate(list(SoundReader(path, track).blocks()), 1)


def lag(first: Samples, second: Samples) -> int:
    """By how many samples the second comes later than the first: the peak of their cross-correlation."""
    size = 1 << (len(first) + len(second) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(second, size) * np.conj(np.fft.rfft(first, size)), size)
    best = int(np.argmax(product))
    return best - size if best > size // 2 else best
