"""The sound of the sample reel: a few bars of ragtime on a synthesised piano, and what eighty years did to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import signal

RATE = 48000
SIXTEENTH = 0.16
"""Seconds."""

Samples = npt.NDArray[np.float64]

# Scott Joplin, "The Entertainer" (1902, public domain): the introduction and the first bars of the tune, in our own
# short version. Pitches are MIDI numbers, lengths sixteenths; a chord is a tuple.
_INTRODUCTION = [
    (86, 1), (88, 1), (84, 1), (81, 2), (83, 1), (79, 2), (74, 1), (76, 1), (72, 1), (69, 2), (71, 1), (67, 2),
    (62, 1), (64, 1), (60, 1), (57, 2), (59, 1), (57, 1), (56, 1), (55, 4), ((67, 71, 74, 79), 2), (62, 1), (63, 1),
]  # fmt: skip
_TUNE = [
    (64, 1), (72, 2), (64, 1), (72, 2), (64, 1), (72, 5), ((76, 84), 1), ((77, 86), 1), ((78, 87), 1), ((79, 88), 1),
    ((76, 84), 1), ((77, 86), 1), ((79, 88), 2), ((74, 83), 1), ((77, 86), 2), ((76, 84), 4),
]  # fmt: skip
_BASS = [(36, 2), ((52, 55, 60), 2), (43, 2), ((52, 55, 58), 2), (41, 2), ((53, 57, 60), 2), (40, 2), ((52, 55, 60), 2)]


def piano(pitch: int, seconds: float, loudness: float = 1.0) -> Samples:
    """One struck string: slightly inharmonic partials, the high ones dying first, and the knock of the hammer."""
    fundamental = 440 * 2 ** ((pitch - 69) / 12)
    time = np.arange(int(RATE * (seconds + 0.6))) / RATE
    tone = np.zeros_like(time)
    for partial in range(1, 16):
        frequency = partial * fundamental * np.sqrt(1 + 0.0004 * partial**2)
        if frequency > 12000:
            break
        decay = (1.2 + 0.35 * partial) * (fundamental / 262) ** 0.4
        tone += np.sin(2 * np.pi * frequency * time + partial) * np.exp(-decay * time) / partial**1.25
    knock = np.random.default_rng(pitch).standard_normal(len(time)) * np.exp(-time / 0.004) * 0.12
    release = np.clip((seconds + 0.1 - time) / 0.1, 0, 1) ** 2
    attack = np.clip(time / 0.003, 0, 1)
    return (tone + knock) * attack * np.maximum(release, 0) * loudness


def tune(seconds: float) -> Samples:
    """The clean recording, mono, peak 0.7, exactly as long as asked for."""
    played = np.zeros(int(RATE * (seconds + 3)))

    def play(notes: list[tuple[int | tuple[int, ...], int]], start: int, loudness: float, octave: bool) -> int:
        place = start
        for pitches, length in notes:
            chord = (pitches,) if isinstance(pitches, int) else pitches
            for pitch in (*chord, *((chord[0] - 12,) if octave and len(chord) == 1 else ())):
                at = int(place * SIXTEENTH * RATE)
                if at >= seconds * RATE:
                    return place
                note = piano(pitch, length * SIXTEENTH, loudness / np.sqrt(len(chord)))
                stop = min(len(played), at + len(note))
                played[at:stop] += note[: stop - at]
            place += length
        return place

    end = play(_INTRODUCTION, 0, 0.8, octave=True)
    play(_TUNE, end, 1.0, octave=False)
    play(_BASS * 2, end, 0.6, octave=False)
    played = played[: round(seconds * RATE)]
    played[-RATE // 3 :] *= np.linspace(1, 0, RATE // 3) ** 2
    room = np.random.default_rng(7).standard_normal(RATE // 3) * np.exp(-np.arange(RATE // 3) / (0.07 * RATE))
    wet = signal.fftconvolve(played, room / np.linalg.norm(room))[: len(played)]
    mixed = played + 0.25 * wet
    return 0.7 * mixed / np.abs(mixed).max()


def aged(clean: Samples, seed: int) -> Samples:
    """An optical track of the time: slow pitch drift, a narrow band, mains hum, hiss, clicks; as long as `clean`."""
    random = np.random.default_rng(seed)
    time = np.arange(len(clean)) / RATE
    drift = 0.0009 * np.sin(2 * np.pi * 0.55 * time) + 0.0003 * np.sin(2 * np.pi * 6.3 * time)
    worn = np.interp(time + np.cumsum(drift) / RATE, time, clean)
    band = signal.butter(4, (140, 4200), "bandpass", fs=RATE, output="sos")
    worn = np.tanh(1.6 * signal.sosfilt(band, worn)) / 1.6
    hum = sum(np.sin(2 * np.pi * 50 * k * time + k) * a for k, a in ((1, 0.016), (2, 0.022), (3, 0.010), (5, 0.005)))
    hiss = signal.sosfilt(
        signal.butter(2, (400, 9000), "bandpass", fs=RATE, output="sos"), random.standard_normal(len(clean))
    )
    clicks = np.zeros_like(clean)
    for at in np.flatnonzero(random.random(len(clean)) < 14 / RATE):
        length = int(random.integers(12, 90))
        shape = np.exp(-np.arange(length) / (length / 5)) * np.cos(np.arange(length) * random.uniform(0.3, 1.4))
        stop = min(len(clicks), at + length)
        clicks[at:stop] += (shape * random.choice((-1, 1)) * random.exponential(0.14))[: stop - at]
    return np.clip(worn + hum + 0.013 * hiss + clicks, -0.98, 0.98)
