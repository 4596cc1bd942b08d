"""What happens to sound on film and tape: hiss, crackle, hum, clipping, and the narrow band of an optical track.

Sound is (channels, samples), float32, nominally [-1, 1]. Levels are in dB against the root mean square of the clean
sound, so that a kind at a level is equally bad whatever the recording's volume. Seeded with NumPy: the same damage on
every machine. Each kind can say the truth of what it did.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Samples = npt.NDArray[np.float64]


def level_of(sound: Tensor) -> float:
    """Root mean square over all channels and samples."""
    return float(sound.double().square().mean().sqrt())


def db(value: float) -> float:
    """The factor on amplitudes that `value` dB mean."""
    return float(10 ** (value / 20))


@dataclass(frozen=True, slots=True)
class Hiss:
    """Broadband noise that lasts: tape, film grain on the track, amplifiers."""

    snr: float = 10.0
    """dB of the sound over the noise."""
    tilt: float = 0.0
    """dB an octave, around 1 kHz and from 50 Hz on: 0 is white, tape is about +1, an old amplifier -3."""
    seed: int = 0

    def noise(self, shape: tuple[int, int], rate: int) -> Tensor:
        """(channels, samples) of root mean square 1, independent in each channel."""
        random = np.random.default_rng((self.seed, 1))
        white = random.standard_normal(shape)
        if self.tilt:
            spectrum = np.fft.rfft(white)
            hertz = np.maximum(np.fft.rfftfreq(shape[1], 1 / rate), 50.0)
            white = np.fft.irfft(spectrum * (hertz / 1000) ** (self.tilt / 20 / math.log10(2)), shape[1])
        return torch.from_numpy((white / np.sqrt(np.mean(white**2))).astype(np.float32))

    def apply(self, sound: Tensor, rate: int) -> Tensor:
        """The sound with noise on it."""
        noise = self.noise((sound.shape[0], sound.shape[1]), rate)
        return sound + noise.to(sound) * (level_of(sound) * db(-self.snr))


class Click(NamedTuple):
    """One tick: where it begins, in samples, and what it adds."""

    start: int
    shape: Samples


@dataclass(frozen=True, slots=True)
class Crackle:
    """Dirt and scratches read by the exciter lamp or the needle: short bursts, laid on all channels alike.

    Bursts as Godsill and Rayner model them (Digital Audio Restoration, Springer 1998, ch. 4): at random times, of
    random length, their samples noise of a random size with heavy tails.
    """

    clicks: float = 20.0
    """Mean number a second."""
    level: float = 6.0
    """dB of the median burst's deviation over the sound's root mean square."""
    spread: float = 5.0
    """Standard deviation of that level, dB."""
    length: tuple[float, float] = (0.06, 0.8)
    """Milliseconds, shortest and longest; short ones are likelier."""
    seed: int = 0

    def bursts(self, samples: int, rate: int) -> list[Click]:
        """The clicks of a sound of that length, in order, of level 0 dB = 1."""
        random = np.random.default_rng((self.seed, 2))
        count = int(random.poisson(self.clicks * samples / rate))
        result = []
        for start in np.sort(random.integers(0, samples, count)):
            low, high = (math.log(milliseconds * rate / 1000) for milliseconds in self.length)
            length = max(2, round(math.exp(random.uniform(low, high))))
            size = db(random.normal(self.level, self.spread))
            decay = np.exp(-2.0 * np.arange(length) / length)
            shape = random.standard_normal(length) * decay
            shape *= size / max(1e-9, float(np.sqrt(np.mean(shape**2))))
            result.append(Click(int(start), shape[: samples - int(start)]))
        return result

    def apply(self, sound: Tensor, rate: int) -> tuple[Tensor, Tensor]:
        """The sound with clicks, and (samples,) bool: which samples they touch."""
        level = level_of(sound)
        result, touched = sound.clone(), torch.zeros(sound.shape[1], dtype=torch.bool)
        for start, shape in self.bursts(sound.shape[1], rate):
            result[:, start : start + len(shape)] += torch.from_numpy(level * shape).to(sound)
            touched[start : start + len(shape)] = True
        return result, touched


@dataclass(frozen=True, slots=True)
class Hum:
    """The mains and their harmonics, coupled in; on film and tape the pitch drifts with the machine."""

    frequency: float = 50.0
    level: float = -15.0
    """dB of the whole hum against the sound."""
    harmonics: int = 8
    drift: float = 0.0
    """Largest share by which the frequency strays, slowly."""
    seed: int = 0

    def noise(self, samples: int, rate: int) -> Tensor:
        """(harmonics, samples): every harmonic alone, their sum of root mean square about 1."""
        random = np.random.default_rng((self.seed, 3))
        time = np.arange(samples) / rate
        stray = np.zeros(samples)
        for period in (37.0, 23.0, 11.0):
            stray += np.sin(2 * np.pi * (time / period + random.random())) / 3
        phase = 2 * np.pi * np.cumsum(self.frequency * (1 + self.drift * stray)) / rate
        numbers = np.arange(1, self.harmonics + 1)
        sizes = random.uniform(0.4, 1.0, self.harmonics) / numbers**0.8
        sizes *= math.sqrt(2 / float(np.sum(sizes**2)))
        turns = random.uniform(0, 2 * np.pi, self.harmonics)
        kept = numbers * self.frequency < 0.45 * rate
        lines = [size * np.sin(number * phase + turn) for number, size, turn in zip(numbers, sizes, turns, strict=True)]
        return torch.from_numpy(np.stack(lines)[kept].astype(np.float32))

    def apply(self, sound: Tensor, rate: int) -> tuple[Tensor, Tensor]:
        """The sound with hum, and (harmonics, samples): the hum that was added, line by line."""
        lines = self.noise(sound.shape[1], rate).to(sound) * (level_of(sound) * db(self.level))
        return sound + lines.sum(0), lines


@dataclass(frozen=True, slots=True)
class Clipping:
    """A recording driven too hard: everything beyond a ceiling is the ceiling."""

    ceiling: float = 6.0
    """dB over the sound's root mean square; speech peaks at about 15."""

    def apply(self, sound: Tensor, rate: int) -> tuple[Tensor, Tensor]:
        """The clipped sound, and (channels, samples) bool: which samples were."""
        limit = level_of(sound) * db(self.ceiling)
        return sound.clamp(-limit, limit), sound.abs() > limit


@dataclass(frozen=True, slots=True)
class OpticalTrack:
    """The band a variable-area or -density track leaves: rumble cut, and treble lost at the slit.

    About -18 dB at 8 kHz with the defaults, which is what the Academy curve of 1938 left to the audience.
    """

    low: float = 80.0
    high: float = 5000.0
    order: int = 4
    """Of the Butterworth slopes, applied without phase."""

    def apply(self, sound: Tensor, rate: int) -> Tensor:
        """The sound in that band, as long as before."""
        padded = 2 * sound.shape[1]
        hertz = torch.fft.rfftfreq(padded, 1 / rate).double().clamp(min=1e-3)
        gain = (1 + (hertz / self.high) ** (2 * self.order)).rsqrt() * (1 + (self.low / hertz) ** 4).rsqrt()
        heard = torch.fft.irfft(torch.fft.rfft(sound.double(), padded) * gain, padded)
        result: Tensor = heard[:, : sound.shape[1]].to(sound)
        return result
