"""Loudness after ITU-R BS.1770-4: K-weighting, gated blocks of 400 ms, true peak by oversampling."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from restore.frames import AudioFormat

_STEP = 0.1
"""Seconds: gating blocks of 0.4 s overlap by three quarters."""
_ABSOLUTE_GATE = -70.0
_RELATIVE_GATE = -10.0
_SURROUND = frozenset({"BL", "BR", "SL", "SR"})


def k_weighting(rate: int) -> npt.NDArray[np.float64]:
    """The two filters of BS.1770 (the head's shelf, then the low cut) as second-order sections at any rate.

    The standard gives coefficients at 48 kHz; these are the analogue prototypes behind them, by the bilinear
    transform (as in pyloudnorm and libebur128).
    """
    shelf = _shelf(rate, 1681.974450955533, 3.999843853973347, 0.7071752369554196)
    k = math.tan(math.pi * 38.13547087602444 / rate)
    quality = 0.5003270373238773
    norm = 1 + k / quality + k * k
    low_cut = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / norm, (1 - k / quality + k * k) / norm]
    return np.array([shelf, low_cut])


def _shelf(rate: int, frequency: float, gain: float, quality: float) -> list[float]:
    k = math.tan(math.pi * min(frequency, 0.49 * rate) / rate)
    high = 10 ** (gain / 20)
    band = high**0.4996667741545416
    norm = 1 + k / quality + k * k
    return [
        (high + band * k / quality + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / quality + k * k) / norm,
        1.0,
        2 * (k * k - 1) / norm,
        (1 - k / quality + k * k) / norm,
    ]


class LoudnessMeter:
    """Listens to a track chunk by chunk. Keeps one number for every tenth of a second."""

    def __init__(self, format: AudioFormat) -> None:
        names = format.names
        weights = [0.0 if name == "LFE" else 1.41 if name in _SURROUND else 1.0 for name in names]
        self._weights = np.array(weights or [1.0] * format.channels)
        self._sections = k_weighting(format.rate)
        self._memory = np.zeros((len(self._sections), format.channels, 2))
        self._step = max(1, round(_STEP * format.rate))
        self._left = np.zeros(0)
        self._energies: list[npt.NDArray[np.float64]] = []

    def add(self, samples: torch.Tensor) -> None:
        """Hear (channels, n) more samples."""
        from scipy import signal  # takes a second to import, and pictures come without sound

        weighted, self._memory = signal.sosfilt(self._sections, samples.cpu().double().numpy(), zi=self._memory)
        power = np.concatenate([self._left, self._weights @ np.square(weighted)])
        whole = len(power) // self._step * self._step
        self._energies.append(power[:whole].reshape(-1, self._step).mean(1))
        self._left = power[whole:]

    def blocks(self) -> npt.NDArray[np.float64]:
        """Mean weighted power of every block of 0.4 s so far; of what there is, where the track is shorter."""
        steps = np.concatenate(self._energies) if self._energies else np.zeros(0)
        if len(steps) >= 4:
            return np.convolve(steps, np.full(4, 0.25), "valid")
        parts = [*np.repeat(steps, 1), *([self._left.mean()] if len(self._left) else [])]
        return np.array([np.mean(parts)]) if parts else np.zeros(0)

    def momentary(self) -> npt.NDArray[np.float64]:
        """Momentary loudness in LUFS, ten values a second; -inf where it is silent."""
        with np.errstate(divide="ignore"):
            return np.asarray(-0.691 + 10 * np.log10(self.blocks()))

    def integrated(self) -> float | None:
        """Integrated loudness in LUFS, gated; None where nothing is louder than -70 LUFS."""
        blocks = self.blocks()
        loud = blocks[blocks > _power(_ABSOLUTE_GATE)]
        if not len(loud):
            return None
        loud = loud[loud > loud.mean() * 10 ** (_RELATIVE_GATE / 10)]
        return float(-0.691 + 10 * np.log10(loud.mean()))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


_PHASES, _TAPS = 4, 24
PEAK_REACH = _TAPS // 2
"""Samples on either side that `true_peaks` looks at."""


def true_peaks(samples: torch.Tensor) -> torch.Tensor:
    """Largest magnitude of the waveform between each sample and the next, (..., n) from (..., n); BS.1770-4, annex 2.

    Interpolates four-fold with a windowed sinc; the `PEAK_REACH` samples at either end lean on zeros.
    """
    taps = torch.arange(_TAPS, dtype=torch.float64) - PEAK_REACH + 1
    phases = torch.arange(_PHASES, dtype=torch.float64)[:, None] / _PHASES
    window = torch.from_numpy(np.kaiser(2 * _PHASES * PEAK_REACH + 1, 6.0))
    place = ((taps - phases + PEAK_REACH) * _PHASES).round().long().clamp(0, len(window) - 1)
    kernels = (torch.sinc(taps - phases) * window[place]).to(samples)
    rows = samples.reshape(-1, 1, samples.shape[-1])
    padded = torch.nn.functional.pad(rows, (PEAK_REACH - 1, PEAK_REACH))
    between = torch.nn.functional.conv1d(padded, kernels[:, None, :])
    return between.abs().amax(1).reshape(samples.shape)
