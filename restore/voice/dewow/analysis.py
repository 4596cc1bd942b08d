"""Finding how a machine's speed wavers, over a whole track, and where in the track each sample belongs."""

from __future__ import annotations

import numpy as np
import torch

from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, State
from restore.voice.dewow.options import DewowOptions
from restore.voice.dewow.speed import speed_of
from restore.voice.dewow.tones import BANDS, Numbers, Tone, ToneFollower, hop_of

KNOT = 2
"""Frames from one value of the course to the next."""
_AROUND = 1
"""Chunks on either side that a chunk's speed is found with."""
_SLOW_SECONDS = 2.0
"""Deviation of the Gaussian that says what is slow: courses slower than some ten seconds stay as they are."""
_EDGE_SECONDS = 1.0
"""At both ends of the track nothing is moved; from there it takes this long to the whole course."""
_NOTICED = 0.001
"""Root mean square of a speed that is worth undoing: where people begin to hear it."""
MOST_SECONDS = 0.03
"""By which a sample is moved at most."""


class WowAnalyzer(AudioAnalyzer):
    """Follows the tones of the channels' mean; keeps those of three chunks."""

    sees = "source"  # the hum, which tells most, is still there

    def __init__(self, options: DewowOptions) -> None:
        self._options = options

    def begin(self, format: AudioFormat) -> None:
        """Nothing heard yet."""
        self._format = format
        self._hop = hop_of(format.rate)
        self._followers = [ToneFollower(format.rate, *band) for band in BANDS]
        self._tones: list[Tone] = []
        self._pairs = format.chunk // self._hop  # frame pairs a chunk
        self._solved = 0  # chunks
        self._heard = 0
        self._sum = np.zeros(0)
        self._weight = np.zeros(0)
        self._known = np.zeros(0)

    def add(self, chunk: AudioChunk) -> None:
        """Hear the next chunk."""
        mono = _voices(chunk.samples, self._format)
        for follower in self._followers:
            self._tones += follower.add(mono)
            self._tones += follower.cut()
        self._heard += chunk.samples.shape[1]
        while min(follower.frames for follower in self._followers) - 1 >= (self._solved + 1 + _AROUND) * self._pairs:
            self._solve()

    def _solve(self) -> None:
        """The speed around one chunk, faded into that around its neighbours."""
        first = (self._solved - _AROUND) * self._pairs
        count = (1 + 2 * _AROUND) * self._pairs
        hop = self._hop / self._format.rate
        most = float(np.log1p(self._options.most / 100))
        speed, known = speed_of(joined(self._tones), first, count, hop, most)
        fade = np.hanning(len(speed) + 2)[1:-1]
        start = first // KNOT
        stop = start + len(speed)
        longer = max(0, stop - len(self._sum))
        self._sum, self._weight, self._known = (
            np.pad(array, (0, longer)) for array in (self._sum, self._weight, self._known)
        )
        inside = slice(max(0, -start), len(speed))
        there = slice(max(0, start), stop)
        self._sum[there] += (fade * speed)[inside]
        self._weight[there] += fade[inside]
        self._known[there] += (fade * known)[inside]
        self._solved += 1
        oldest = (self._solved - _AROUND) * self._pairs
        self._tones = [tone for tone in self._tones if tone.stop > oldest]

    def finish(self) -> State:
        """``course``: float32 seconds, one every `KNOT` frames from sample 0 on: how much later than in the track each
        moment belongs. Empty where nothing is to be undone.

        ``wow_percent``: root mean square of the speed's wavering, null where no steady tone tells; ``known``: the share
        of the track in which one does.
        """
        for follower in self._followers:
            self._tones += follower.finish()
        while self._heard and self._solved * self._format.chunk < self._heard:
            self._solve()
        knot = KNOT * self._hop / self._format.rate
        count = int(self._heard / self._format.rate / knot) + 2
        total = np.maximum(self._weight, 1e-9)
        speed, known = ((np.pad(array / total, (0, count))[:count]) for array in (self._sum, self._known))
        share = round(float(known.mean()), 3) if self._heard else 0.0
        speed = sharpened(speed, knot, 4 * self._hop / self._format.rate, self._options.fastest)
        course = course_of(speed, knot)
        heard = known > 0.3
        wow = float(np.sqrt(np.mean(np.gradient(course, knot)[heard] ** 2))) if heard.sum() > 2 else 0.0
        values = {"wow_percent": round(100 * wow, 3) if share > 0 else None, "known": share}
        if wow < _NOTICED:
            return State(values, {"course": np.zeros(0, np.float32)})
        return State(values, {"course": course.astype(np.float32)})


def _voices(samples: torch.Tensor, format: AudioFormat) -> torch.Tensor:
    """(n,) the mean of all channels but that of low effects."""
    low = format.low_channel
    kept = [place for place in range(len(samples)) if place != low]
    return samples[kept].mean(0) if kept else samples.mean(0)


def joined(tones: list[Tone]) -> list[Tone]:
    """Tones that were cut in two made whole: where one ends another begins at the same pitch."""
    result: list[Tone] = []
    ending: dict[int, list[int]] = {}
    for tone in sorted(tones, key=lambda tone: tone.start):
        near = [
            place for place in ending.get(tone.start, [])
            if tone.course and abs(result[place].course[-1] - tone.course[0]) < 0.01
        ]  # fmt: skip
        if len(near) == 1:
            place = near[0]
            ending[tone.start].remove(place)
            result[place] = Tone(result[place].start, [*result[place].course, *tone.course])
        else:
            place = len(result)
            result.append(tone)
        ending.setdefault(result[place].stop, []).append(place)
    return result


def sharpened(speed: Numbers, knot: float, frame: float, fastest: float) -> Numbers:
    """What wavers fast made as large again as it was before the frames' length averaged it, up to `fastest` hertz."""
    if len(speed) < 4:
        return np.zeros_like(speed)
    margin = min(len(speed) - 1, 64)
    padded = np.pad(speed, margin, mode="reflect")
    hertz = np.fft.rfftfreq(len(padded), knot)
    x = hertz * frame
    kept = np.sinc(x) / np.where(np.abs(1 - x * x) < 1e-3, 1e-3, 1 - x * x)
    fade = np.clip((1.25 * fastest - hertz) / (0.5 * fastest), 0, 1)
    whole = np.fft.irfft(np.fft.rfft(padded) * fade / np.clip(kept, 0.5, 1), len(padded))
    return np.asarray(whole[margin : margin + len(speed)])


def course_of(speed: Numbers, knot: float) -> Numbers:
    """Seconds by which each moment is off, from the log speed there: its slow part and both ends held at 0."""
    share = np.expm1(speed)
    course = (np.cumsum(share) - share / 2) * knot
    for _ in range(2):
        course = course - _slow(course, _SLOW_SECONDS / knot)
    at = np.arange(len(course)) * knot
    ends = np.minimum(at, at[-1] - at) - 0.1 if len(at) else at
    fade = np.clip(ends / _EDGE_SECONDS, 0, 1)
    return np.asarray(np.clip(course * fade * fade * (3 - 2 * fade), -MOST_SECONDS, MOST_SECONDS))


def _slow(values: Numbers, deviation: float) -> Numbers:
    reach = round(4 * deviation)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    margin = min(reach, max(0, len(values) - 1))
    padded = np.pad(np.pad(values, margin, mode="reflect", reflect_type="odd"), reach - margin, mode="edge")
    return np.asarray(np.convolve(padded, kernel / kernel.sum(), mode="valid"))
