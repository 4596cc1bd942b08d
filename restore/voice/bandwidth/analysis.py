"""Finding where the band of a track ends, and how loud its noise is there."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from restore.analysis.noise_floor import NoiseFloor
from restore.analysis.spectrum import ShortTime
from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, State
from restore.voice.bandwidth.options import BandwidthOptions

FRAME_SECONDS = 0.0235
EDGE_BAND = (0.72, 0.94)
"""Shares of the edge between which the level at the edge is measured."""
_MIDDLE = (700.0, 2200.0)
"""Hertz: the voice's level that all else is held against."""
_FALL = 9.0
"""dB by which a voice's treble falls each octave above the middle, at most: s and f hold it up."""
_MISSING = 12.0
"""dB below that from which a frequency counts as lost."""
_CLEAR = 4.0
"""Times the noise that a voice must be to be heard at a frequency."""
_WHOLE = 7000.0
"""Hertz: a track that reaches so far lacks nothing."""
_LOUD = 0.1
"""Power, as a share of the loudest half second's, from which a frame counts as voice."""


def band_stft(format: AudioFormat) -> ShortTime:
    """The grid on which the band is measured and carried on."""
    return ShortTime(format.rate, FRAME_SECONDS)


class BandAnalyzer(AudioAnalyzer):
    """Long-term spectrum of what is loud, over the noise."""

    def __init__(self, options: BandwidthOptions) -> None:
        self._options = options

    def begin(self, format: AudioFormat) -> None:
        """Nothing heard yet."""
        self._format, self._stft = format, band_stft(format)
        self._floor = NoiseFloor(self._stft, format.chunk)
        self._loud = torch.zeros(self._stft.bins, dtype=torch.float64)
        self._frames = 0
        self._top = 0.0

    def add(self, chunk: AudioChunk) -> None:
        """Hear the next chunk."""
        low = self._format.low_channel
        kept = [place for place in range(len(chunk.samples)) if place != low]
        mono = chunk.samples[kept].mean(0, keepdim=True)
        self._floor.add(mono)
        power = self._stft.forward(mono)[0].abs().square().double()
        level = power.sum(0)
        top = float(level.quantile(0.9)) if len(level) else 0.0
        if top > 4 * self._top:  # a voice at last, after a murmur
            self._loud.zero_()
            self._frames = 0
        self._top = max(self._top, top)
        used = level > max(_LOUD * self._top, 1e-9)
        self._loud += power[:, used].sum(1)
        self._frames += int(used.sum())

    def finish(self) -> State:
        """``edge_hertz``: where the band ends, null where it does not or nothing is said. ``noise``: (blocks,) float32,
        the noise's mean power in a bin just below the edge, twice a chunk.
        """
        floor = self._floor.finish()
        edge = self._options.edge
        if edge is None and self._frames:
            noise = floor.double().mean(0) if len(floor) else torch.zeros_like(self._loud)
            edge = band_edge(self._loud / self._frames, noise, self._stft.hertz.double())
        if edge is None or edge > 0.9 * self._format.rate / 2:
            return State({"edge_hertz": None}, {"noise": np.zeros(0, np.float32)})
        inside = near_edge(self._stft, edge)
        noise_there = floor[:, inside].mean(1) if len(floor) else torch.zeros(0)
        return State({"edge_hertz": round(edge)}, {"noise": noise_there.numpy().astype(np.float32)})


def near_edge(stft: ShortTime, edge: float) -> Tensor:
    """(bins,) bool: those just below the edge."""
    return (stft.hertz >= EDGE_BAND[0] * edge) & (stft.hertz <= EDGE_BAND[1] * edge)


def band_edge(loud: Tensor, noise: Tensor, hertz: Tensor) -> float | None:
    """Where a voice's long-term spectrum ends for good; None where it reaches far enough, or is none.

    Args:
        loud: (bins,) mean power while somebody speaks.
        noise: (bins,) mean power of the noise.
        hertz: (bins,) centres.
    """
    levels, centres = [], []
    band = 300.0
    while band < min(_WHOLE * 1.3, float(hertz[-1])):
        inside = (hertz >= band * 2 ** (-1 / 12)) & (hertz < band * 2 ** (1 / 12))
        clear = bool(inside.any()) and float(loud[inside].mean()) > _CLEAR * float(noise[inside].mean())
        levels.append(10 * float(torch.log10(loud[inside].mean() + 1e-20)) if clear else -200.0)
        centres.append(band)
        band *= 2 ** (1 / 12)
    middle = [level for level, centre in zip(levels, centres, strict=True) if _MIDDLE[0] <= centre <= _MIDDLE[1]]
    if not middle or max(middle) <= -200:
        return None
    usual = float(np.mean(middle))
    octaves = np.maximum(0, np.log2(np.array(centres) / _MIDDLE[1]))
    there = np.array(levels) > usual - _FALL * octaves - _MISSING
    if not there.any():
        return None
    last = int(np.flatnonzero(there)[-1])
    edge = centres[last] * 2 ** (1 / 24)
    return edge if _MIDDLE[1] * 0.8 < edge < min(_WHOLE, 0.9 * float(hertz[-1])) else None
