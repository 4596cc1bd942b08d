"""Finding the hum of a track: its frequency, how it strays, and its harmonics, chunk by chunk."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, State
from restore.voice.dehum.lines import follow, sizes
from restore.voice.dehum.options import DehumOptions

_FRAME_SECONDS = 0.17
_AROUND = 2
"""Chunks on either side that a chunk's hum is measured with: some 27 seconds in all."""
_TOGETHER = 2
"""Chunks measured at a time: those around them serve both."""
MARGIN = 2
"""Frames beyond a chunk's ends for which its phase is kept, so that chunks can be faded into each other."""
NODES = 3
"""Times in a chunk at which harmonics are measured: its beginning, middle and end."""
_MAINS = (50.0, 60.0)
_FEWEST_FRAMES = 24
"""Two seconds: in less, a hum and a hummed note cannot be told apart."""


def frame_sizes(rate: int) -> tuple[int, int]:
    """Samples a frame, and from frame to frame."""
    size = 1 << max(6, round(math.log2(_FRAME_SECONDS * rate)))
    return size, size // 2


class _Candidate:
    """One nominal frequency that the hum may have."""

    def __init__(self, frequency: float, format: AudioFormat, harmonics: int) -> None:
        self.frequency, self.format = frequency, format
        self.size, self.hop = frame_sizes(format.rate)
        count = max(1, min(harmonics, int(0.45 * format.rate / frequency)))
        tones = torch.arange(1, count + 1, dtype=torch.float64) * frequency / format.rate
        at = torch.arange(self.size, dtype=torch.float64) - self.size // 2
        window = torch.hann_window(self.size, dtype=torch.float64)
        radios = torch.exp(-2j * math.pi * at[:, None] * tones) * (2 * window / window.sum())[:, None]
        self._radios = torch.cat((radios.real, radios.imag), 1).float()
        self._tones = tones
        self._parts: list[Tensor] = []
        self.phases: list[Tensor] = []
        self.sizes: list[Tensor] = []

    def hear(self, sound: Tensor, start: int) -> Tensor:
        """(channels, harmonics, frames) of `sound`, which begins half a frame before its first frame, at `start`."""
        frames = sound.unfold(1, self.size, self.hop)
        real, imaginary = (frames @ self._radios).chunk(2, 2)
        centres = start + torch.arange(frames.shape[1], dtype=torch.float64) * self.hop
        turn = torch.exp(-2j * math.pi * torch.frac(centres[:, None] * self._tones))
        return (torch.complex(real, imaginary) * turn.to(torch.complex64)).transpose(1, 2)

    def measure(self, parts: list[Tensor], wanted: range) -> None:
        """Find the hum of the chunks `parts[wanted]`, with those around them."""
        lines = torch.cat(parts, 2)
        starts = np.cumsum([0, *(part.shape[2] for part in parts)]).tolist()
        hop, seconds = self.hop / self.format.rate, self.size / self.format.rate
        channels, count, frames = lines.shape
        heard = frames >= _FEWEST_FRAMES and bool(lines.abs().amax() > 1e-6)
        whole = follow(lines, self.frequency, hop) if heard else torch.zeros(frames, dtype=torch.float64)
        nodes = [
            min(float(node), frames - 1.0)
            for place in wanted
            for node in np.linspace(starts[place], starts[place + 1], NODES)
        ]
        found = torch.zeros(len(nodes), channels, count, dtype=torch.complex64)
        if heard:
            found = sizes(lines, whole, hop, seconds, nodes, 8.0 / hop)
        self.sizes += found.view(len(wanted), NODES, channels, count)
        near = min(8, frames)
        before, behind = ((whole[at + near - 1] - whole[at]) / max(1, near - 1) for at in (0, frames - near))
        for place in wanted:
            first = starts[place]
            at = torch.arange(first - MARGIN, first + self.format.chunk // self.hop + 1 + MARGIN)
            beyond = (at - (frames - 1)).clamp(min=0) * behind - (-at).clamp(min=0) * before
            self.phases.append(whole[at.clamp(0, frames - 1)] + beyond)

    def strength(self) -> float:
        """Mean power of the hum that was found, counted only with more than a stray line."""
        if not self.sizes:
            return 0.0
        found = torch.stack(self.sizes)
        enough = ((found.abs() > 0).sum(-1, keepdim=True) >= min(2, found.shape[-1])) & (found[..., :4].abs() > 0).any(
            -1, keepdim=True
        )
        return float((found.abs().square() * enough).mean())


class HumAnalyzer(AudioAnalyzer):
    """Tunes in to the harmonics of 50 and 60 Hz, and keeps what it hears for some chunks."""

    sees = "source"

    def __init__(self, options: DehumOptions) -> None:
        self._options = options

    def begin(self, format: AudioFormat) -> None:
        """Nothing heard yet."""
        self._format = format
        wanted = _MAINS if self._options.frequency is None else (self._options.frequency,)
        self._candidates = [_Candidate(hertz, format, self._options.harmonics) for hertz in wanted]
        self._size, self._hop = frame_sizes(format.rate)
        self._tail = torch.zeros(format.channels, self._size // 2)
        self._held: list[list[Tensor]] = [[] for _ in self._candidates]
        self._heard = 0
        self._place = 0

    def add(self, chunk: AudioChunk) -> None:
        """Hear the next chunk; its last frame waits for the one after it."""
        self._hear(torch.cat((self._tail, chunk.samples), 1))

    def _hear(self, sound: Tensor) -> None:
        count = max(0, (sound.shape[1] - self._size) // self._hop + 1)
        used = sound[:, : (count - 1) * self._hop + self._size] if count else sound[:, :0]
        self._tail = sound[:, count * self._hop :]
        if not count:
            return
        for held, candidate in zip(self._held, self._candidates, strict=True):
            held.append(candidate.hear(used, self._heard))
        self._heard += count * self._hop
        if len(self._held[0]) == self._place + _TOGETHER + _AROUND:
            self._measure()

    def _measure(self) -> None:
        wanted = range(self._place, min(self._place + _TOGETHER, len(self._held[0])))
        for held, candidate in zip(self._held, self._candidates, strict=True):
            candidate.measure(held, wanted)
        gone = max(0, wanted.stop - _AROUND)
        self._held = [held[gone:] for held in self._held]
        self._place = wanted.stop - gone

    def finish(self) -> State:
        """``phase``: (chunks, frames) radians; ``lines``: (chunks, nodes, channels, harmonics) complex amplitudes.

        ``hum_hertz``: the nominal frequency, null where there is no hum; ``hum_dbfs``: its level; ``harmonics``: which.
        """
        while self._place < len(self._held[0]):
            self._measure()
        best = max(self._candidates, key=lambda candidate: candidate.strength())
        power = best.strength() * (best.sizes[0].shape[-1] if best.sizes else 1) / 2
        if power <= 0:
            return State({"hum_hertz": None, "hum_dbfs": None, "harmonics": []})
        lines = torch.stack(best.sizes)
        often = (lines.abs() > 0).double().mean((0, 1, 2)) > 0.2
        level = round(10 * math.log10(power), 1)
        found = [int(number) + 1 for number in torch.nonzero(often)[:, 0]]
        arrays = {"phase": torch.stack(best.phases).float().numpy(), "lines": lines.numpy()}
        return State({"hum_hertz": best.frequency, "hum_dbfs": level, "harmonics": found}, arrays)
