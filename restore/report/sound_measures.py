"""What can be measured of a track by listening to it once: level, noise floor, clicks, clipping, hum, loudness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from restore.analysis.loudness import LoudnessMeter
from restore.frames import AudioFormat

Floats = npt.NDArray[np.float64]

COLUMNS = 1200
"""Of the spectrogram and the waveform."""
_FFT = 2048
_FRAMES_A_COLUMN = 4
_QUIET_SHARE = 0.1
_FRAME_SECONDS = 0.05
_CLICK_RATIO = 14.0
"""A second difference of so many times the usual one near by is a click."""
_CLICK_REST = 0.002
"""Seconds within which clicks are one."""
_HUM_DECIBELS = 6.0
_HUM_HARMONICS = 12


@dataclass(frozen=True)
class Heard:
    """What was measured of one track. Levels in dB relative to full scale, channels together."""

    peak: float
    rms: float
    noise_floor: float
    """Level that a tenth of the track is quieter than, digital silence left out."""
    clicks_a_minute: float
    clipped_share: float
    """Share of the samples that lie on a flat top."""
    hum: list[tuple[float, float]]
    """Lines of 50 or 60 Hz and their multiples: frequency, and dB over what is beside them."""
    loudness: float | None
    """LUFS, integrated (ITU-R BS.1770-4)."""
    momentary: Floats
    """LUFS, ten values a second."""
    lowest: Floats
    highest: Floats
    """Waveform: extremes of every column."""
    spectrogram: Floats
    """(frequencies, columns), dB."""
    spectrum: Floats
    """Of the whole track, dB, a value a hertz."""

    def numbers(self) -> dict[str, Any]:
        """The single values, as JSON."""
        names = ("peak", "rms", "noise_floor", "clicks_a_minute", "clipped_share", "loudness")
        single = {name: None if (value := getattr(self, name)) is None else round(value, 5) for name in names}
        return {**single, "hum": [[round(hertz, 2), round(level, 1)] for hertz, level in self.hum]}


class SoundMeter:
    """Listens to a track of known length, chunk after chunk. Memory grows by some numbers a second."""

    def __init__(self, format: AudioFormat, length: int) -> None:
        self.format, self.length = format, max(1, length)
        self._loudness = LoudnessMeter(format)
        self._at = 0
        self._peak = 0.0
        self._levels: list[Floats] = []
        self._clicks = self._clipped = 0
        self._last_click = -format.rate
        self._before = np.zeros((format.channels, 2))
        self._lowest, self._highest = np.zeros(COLUMNS), np.zeros(COLUMNS)
        self._power = np.zeros((_FFT // 2 + 1, COLUMNS))
        self._frames = np.zeros(COLUMNS)
        self._line_power = np.zeros(format.rate // 2 + 1)

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """Hear (channels, n) more samples; n is a chunk's but for the last."""
        if not samples.shape[1]:
            return
        wide = samples.astype(np.float64)
        self._loudness.add(torch.from_numpy(samples))
        self._peak = max(self._peak, float(np.abs(wide).max()))
        self._count_levels(wide)
        self._count_clicks(wide)
        self._draw(wide)
        self._spectra(wide)
        self._at += samples.shape[1]

    def _columns(self, count: int) -> npt.NDArray[np.int64]:
        """The column of each of the next samples."""
        places = (self._at + np.arange(count)) * COLUMNS // self.length
        return np.minimum(places, COLUMNS - 1).astype(np.int64)

    def _count_levels(self, samples: Floats) -> None:
        size = max(1, round(_FRAME_SECONDS * self.format.rate))
        whole = samples.shape[1] // size * size
        frames = samples[:, :whole].reshape(len(samples), -1, size) if whole else samples[:, None, :]
        self._levels.append(np.square(frames).mean((0, 2)))

    def _count_clicks(self, samples: Floats) -> None:
        joined = np.concatenate([self._before, samples], 1)
        self._before = joined[:, -2:]
        bend = np.abs(np.diff(joined, 2, axis=1)).max(0)
        size = max(8, round(0.02 * self.format.rate))
        padded = np.pad(bend, (0, -len(bend) % size), mode="edge").reshape(-1, size)
        usual = np.repeat(np.median(padded, 1), size)[: len(bend)]
        places = np.flatnonzero(bend > _CLICK_RATIO * usual + 1e-3) + self._at
        rest = _CLICK_REST * self.format.rate
        for place in places:
            if place - self._last_click > rest:
                self._clicks += 1
            self._last_click = int(place)
        level = np.abs(joined)
        flat = (np.abs(np.diff(joined, axis=1)) < 2e-5) & (level[:, 1:] > 0.3) & (level[:, 1:] > 0.7 * self._peak)
        run = flat[:, :-1] & flat[:, 1:]  # three alike in a row
        self._clipped += int(run.sum())

    def _draw(self, samples: Floats) -> None:
        columns = self._columns(samples.shape[1])
        np.minimum.at(self._lowest, columns, samples.min(0))
        np.maximum.at(self._highest, columns, samples.max(0))

    def _spectra(self, samples: Floats) -> None:
        step = max(_FFT // 4, self.length // (COLUMNS * _FRAMES_A_COLUMN))
        starts = np.arange(-self._at % step, max(1, samples.shape[1] - _FFT), step)
        columns = self._columns(samples.shape[1])
        window = np.hanning(_FFT)
        for start in starts:
            piece = samples[:, start : start + _FFT]
            piece = np.pad(piece, ((0, 0), (0, _FFT - piece.shape[1])))
            power = np.square(np.abs(np.fft.rfft(piece * window))).mean(0) / np.square(window).sum()
            self._power[:, columns[min(start, len(columns) - 1)]] += power
            self._frames[columns[min(start, len(columns) - 1)]] += 1
        second = self.format.rate
        if samples.shape[1] >= second:  # one a chunk is enough for lines that stay
            line = np.abs(np.fft.rfft(samples[:, :second] * np.hanning(second)))
            self._line_power += np.square(line).mean(0) / second

    def finish(self) -> Heard:
        """What was found."""
        levels = np.concatenate(self._levels) if self._levels else np.zeros(1)
        sounding = levels[levels > 1e-12]
        floor = float(np.quantile(sounding, _QUIET_SHARE)) if len(sounding) else 0.0
        minutes = max(self._at, 1) / self.format.rate / 60
        filled = self._frames > 0
        spectrogram = self._power / np.maximum(self._frames, 1)
        if filled.any() and not filled.all():  # a short track has more columns than frames
            known = np.flatnonzero(filled)
            nearest = known[np.argmin(np.abs(np.arange(COLUMNS)[:, None] - known), 1)]
            spectrogram = spectrogram[:, nearest]
        return Heard(
            decibels(self._peak**2), decibels(float(levels.mean())), decibels(floor), self._clicks / minutes,
            self._clipped / max(1, self._at * self.format.channels), hum_lines(self._line_power),
            self._loudness.integrated(), self._loudness.momentary(), self._lowest, self._highest,
            np.asarray(10 * np.log10(spectrogram + 1e-12)), np.asarray(10 * np.log10(self._line_power + 1e-12)),
        )  # fmt: skip


def decibels(power: float) -> float:
    """Power to dB; digital silence is -120."""
    return float(10 * np.log10(max(power, 1e-12)))


def hum_lines(power: Floats) -> list[tuple[float, float]]:
    """Multiples of 50 or 60 Hz that stand out of a spectrum with a value a hertz: frequency, and by how many dB."""
    best: list[tuple[float, float]] = []
    for mains in (50, 60):
        lines = []
        for harmonic in range(1, _HUM_HARMONICS + 1):
            place = mains * harmonic
            if place + 12 >= len(power):
                break
            peak = power[place - 1 : place + 2].max()
            beside = np.median(np.concatenate([power[place - 12 : place - 3], power[place + 4 : place + 13]]))
            over = 10 * np.log10((peak + 1e-15) / (beside + 1e-15))
            if over > _HUM_DECIBELS and peak > 1e-9:
                lines.append((float(place), float(over)))
        if sum(over for _, over in lines) > sum(over for _, over in best):
            best = lines
    return best
