"""Learning how the room answers, as it changes along a track."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, State
from restore.voice.dereverb.options import DereverbOptions
from restore.voice.dereverb.prediction import Room, solved

NODE = 2
"""Chunks from one filter to the next."""
_AROUND = 1
"""Chunks on either side of those that a filter is learned from too: some twenty seconds in all."""

_Sums = list[tuple[Tensor, Tensor]]


class RoomAnalyzer(AudioAnalyzer):
    """Keeps the sums of a few chunks for every channel, and solves filters from them."""

    def __init__(self, options: DereverbOptions) -> None:
        self._options = options

    def begin(self, format: AudioFormat) -> None:
        """Nothing heard yet."""
        self._room = Room(format, self._options.reach)
        self._chunk = format.chunk // self._room.stft.hop  # frames
        self._skipped = format.low_channel
        self._tail = torch.zeros(format.channels, self._room.stft.size // 2)
        self._spectra = torch.zeros(format.channels, self._room.bins, self._room.context, dtype=torch.complex64)
        self._sums: list[_Sums] = []
        self._first = 0
        """Which chunk the first of the sums is of."""
        self._filters: list[np.ndarray] = []

    def add(self, chunk: AudioChunk) -> None:
        """Hear the next chunk."""
        self._hear(chunk.samples)
        while self._spectra.shape[2] - self._room.context >= self._chunk:
            self._learn(self._chunk)

    def _hear(self, samples: Tensor) -> None:
        stft = self._room.stft
        sound = torch.cat((self._tail, samples), 1)
        count = max(0, (sound.shape[1] - stft.size) // stft.hop + 1)
        self._tail = sound[:, count * stft.hop :]
        if not count:
            return
        # `forward` centres its first frame on the first sample given: here that is half a frame too early.
        skipped = stft.size // 2 // stft.hop
        spectra = stft.forward(sound[:, : (count - 1) * stft.hop + stft.size])
        new = spectra[:, : self._room.bins, skipped : skipped + count]
        self._spectra = torch.cat((self._spectra, new), 2)

    def _learn(self, frames: int) -> None:
        context = self._room.context
        used, self._spectra = self._spectra[:, :, : context + frames], self._spectra[:, :, frames:]
        self._sums.append([self._room.learned(used[channel]) for channel in self._channels()])
        if (self._first + len(self._sums)) >= (len(self._filters) + 1) * NODE + _AROUND:
            self._solve()

    def _channels(self) -> list[int]:
        return [channel for channel in range(len(self._tail)) if channel != self._skipped]

    def _solve(self) -> None:
        """The filter of the next node, from its chunks and those around."""
        first = len(self._filters) * NODE - _AROUND
        used = self._sums[max(0, first - self._first) :]
        rows = []
        for place in range(len(self._channels())):
            matrix = torch.stack([sums[place][0] for sums in used]).sum(0)
            vector = torch.stack([sums[place][1] for sums in used]).sum(0)
            rows.append(torch.view_as_real(solved(matrix, vector)))
        self._filters.append(torch.stack(rows).half().numpy())
        gone = max(0, len(self._filters) * NODE - _AROUND - self._first)
        self._sums, self._first = self._sums[gone:], self._first + gone

    def finish(self) -> State:
        """``filters``: (nodes, channels, bins, taps, 2) float16, real and imaginary: what each bin's late reverberation
        is made of, in the middle of every two chunks; without the channel of low effects. ``filters`` among the values:
        how many.
        """
        self._hear(torch.zeros(len(self._tail), self._room.stft.size // 2))
        rest = self._spectra.shape[2] - self._room.context
        if rest > self._room.context or (rest > 0 and not self._sums and not self._filters):
            self._learn(rest)
        while self._first + len(self._sums) > len(self._filters) * NODE or (self._sums and not self._filters):
            self._solve()
        shape = (0, len(self._channels()), self._room.bins, self._room.taps, 2)
        filters = np.stack(self._filters) if self._filters else np.zeros(shape, np.float16)
        return State({"filters": len(filters)}, {"filters": filters})
