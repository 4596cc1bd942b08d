"""Tones that last: where a spectrum holds one, and how its frequency moves from frame to frame.

A tone's frequency between two frames is the turn of its phase, which is exact where neighbours are a few bins away;
errors do not add up, since phases are the sum of all turns before (Godsill and Rayner, Digital Audio Restoration,
1998, ch. 8, follow partials for the same end).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Numbers = npt.NDArray[np.float64]

FRAME_SECONDS = 0.085
"""Short enough for a flutter of 10 Hz."""
BANDS = ((40.0, 250.0, 2), (250.0, 4000.0, 1))
"""Hertz from and to, and how many times as long frames are: a hum must be kept apart from a low voice."""
_STANDS_OUT = 10.0
"""Times the background that a tone's power is at least."""
_FAINT = 1e-5
"""Amplitudes below -100 dBFS are no tones."""
_LIMIT = 0.30
"""Share by which the machine's speed changes in a second at most; voices glide faster."""
_SLACK_HERTZ = 1.2
"""By which a frequency may seem to jump between frames, all noise."""
_SWELL = 4.0
"""Times by which a tone's amplitude may change between frames."""


def hop_of(rate: int) -> int:
    """Samples from frame to frame, of all bands."""
    return 1 << max(4, round(math.log2(FRAME_SECONDS * rate)) - 2)


@dataclass
class Tone:
    """One tone: from which frame on, and the natural logarithm of its frequency between each frame and the next."""

    start: int
    course: list[float] = field(default_factory=list)

    @property
    def stop(self) -> int:
        """The first frame pair that it does not reach."""
        return self.start + len(self.course)


class ToneFollower:
    """Hears a track piece by piece; hands out tones that are over, and cuts those that go on where it is asked to."""

    def __init__(self, rate: int, lowest: float, highest: float, longer: int = 1) -> None:
        self.rate = rate
        self.hop = hop_of(rate)
        self.size = 4 * longer * self.hop
        self._window = torch.hann_window(self.size)
        top = min(self.size // 2 - 3, int(highest * self.size / rate))
        self._bins = np.arange(max(3, int(lowest * self.size / rate)), top)
        self._tail = torch.zeros(self.size // 2)
        self._last: tuple[npt.NDArray[np.complex128], npt.NDArray[np.bool_]] | None = None
        self._open: dict[int, Tone] = {}
        self._frame = 0

    @property
    def frames(self) -> int:
        """Frames heard; frame k is centred on sample k * hop."""
        return self._frame

    def add(self, mono: Tensor) -> list[Tone]:
        """Hear the next samples, (n,). Returns the tones that ended."""
        held = torch.cat((self._tail, mono))
        count = max(0, (len(held) - self.size) // self.hop + 1)
        self._tail = held[count * self.hop :]
        if not count or not len(self._bins):
            return []
        frames = held[: (count - 1) * self.hop + self.size].unfold(0, self.size, self.hop) * self._window
        spectra = torch.fft.rfft(frames)[:, : self._bins[-1] + 4].numpy().astype(np.complex128)
        peaks = self._peaks(np.abs(spectra))
        done: list[Tone] = []
        for spectrum, peak in zip(spectra, peaks, strict=True):
            done += self._next(spectrum, peak)
        return done

    def finish(self) -> list[Tone]:
        """The tones that last to the end of the track."""
        done = self.add(torch.zeros(self.size // 2))
        return done + list(self._open.values())

    def cut(self) -> list[Tone]:
        """End all tones that are open, and let each begin anew: memory does not grow with a hum."""
        done = [tone for tone in self._open.values() if tone.course]
        self._open = {place: Tone(self._frame - 1) for place in self._open}
        return done

    def _peaks(self, sizes: Numbers) -> npt.NDArray[np.bool_]:
        """(frames, bins) bool: local maxima that stand out of their surroundings."""
        bins = self._bins
        here = sizes[:, bins]
        peak = (here > 2e-1 * _FAINT * self.size) & (here >= sizes[:, bins - 1]) & (here > sizes[:, bins + 1])
        peak &= (here > sizes[:, bins - 2]) & (here > sizes[:, bins + 2])
        wide = np.lib.stride_tricks.sliding_window_view(np.pad(sizes, ((0, 0), (12, 12)), mode="reflect"), 25, axis=1)
        background = np.median(wide[:, bins[0] : bins[-1] + 1 : 4], axis=2).repeat(4, axis=1)[:, : len(bins)]
        peak &= here * here > _STANDS_OUT * background * background
        return np.asarray(peak)

    def _next(self, spectrum: npt.NDArray[np.complex128], peak: npt.NDArray[np.bool_]) -> list[Tone]:
        last, self._last = self._last, (spectrum, peak)
        self._frame += 1
        places = np.flatnonzero(peak)
        if last is None:
            self._open = {int(place): Tone(self._frame - 1) for place in places}
            return []
        before, was = last
        going: dict[int, Tone] = {}
        for place in places.tolist():
            low = max(0, place - 2)
            near = np.flatnonzero(was[low : place + 3])
            tone = self._open.pop(low + int(near[0]), None) if len(near) == 1 else None
            step = None if tone is None else self._step(before, spectrum, low + int(near[0]), place)
            if tone is not None and (step is None or (tone.course and self._jumps(tone.course[-1], step))):
                self._open[-place - 1] = tone  # it is over
                tone = None
            if tone is None:
                going[place] = Tone(self._frame - 1)
                continue
            assert step is not None
            tone.course.append(step)
            going[place] = tone
        done = [tone for tone in self._open.values() if tone.course]
        self._open = going
        return done

    def _step(
        self, before: npt.NDArray[np.complex128], now: npt.NDArray[np.complex128], first: int, second: int
    ) -> float | None:
        """Log of the frequency, hertz, by which the phase turned from frame to frame."""
        at = int(self._bins[(first + second) // 2])
        if not 1 / _SWELL < abs(now[self._bins[second]]) / max(1e-12, abs(before[self._bins[first]])) < _SWELL:
            return None
        turn = np.angle(now[at] * np.conj(before[at])) / (2 * math.pi)
        cycles = at * self.hop / self.size
        cycles += (turn - cycles + 0.5) % 1 - 0.5
        hertz = cycles * self.rate / self.hop
        centre = (self._bins[first] + self._bins[second]) / 2 * self.rate / self.size
        return math.log(hertz) if abs(hertz - centre) < 1.5 * self.rate / self.size else None

    def _jumps(self, before: float, now: float) -> bool:
        allowed = _LIMIT * self.hop / self.rate + _SLACK_HERTZ * math.exp(-now)
        return abs(now - before) > allowed
