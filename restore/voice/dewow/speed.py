"""The speed of the machine, from what tones do together.

Every tone is taken to be a steady one played at the machine's speed: log frequency = the tone's own + log speed. Its
own is unknown and falls out; what remains is a weighted least squares fit of one smooth curve to all of them, with
weights that turn down what disagrees (Cauchy), and a mild pull towards the nominal speed where nothing is heard.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from restore.voice.dewow.tones import Numbers, Tone

_SHORTEST = 0.3
"""Seconds of a tone that count; vowels that hold their pitch as long are rare."""
_SURE = 2.0
"""Seconds of a tone that count a quarter: the longer it lasts, the less likely is it a voice."""
_NOISE = 0.003
"""By which a tone's log frequency wavers of itself, at least; a faint one's more."""
_SAME = 0.012
"""Two tones no further apart than this are the same one, interrupted, if it is heard often."""
_OFTEN = 0.3
"""Share of the time in which it must be heard for that."""
_ROUNDS = 6
_PULL, _SMOOTH = 0.05, 0.05
_ENOUGH = 0.1
"""Weight of all that is heard at a time from which the speed is known there."""
_COVERED = 0.2
"""Share of the time in which tones must be heard for the speed to be known."""


def speed_of(tones: Sequence[Tone], first: int, count: int, frame: float, most: float) -> tuple[Numbers, Numbers]:
    """Log speed in a stretch, and where it is known.

    Args:
        tones: as `ToneFollower` finds them.
        first: the stretch's first frame pair; `count` of them, in two each the speed has one value.
        frame: seconds from frame to frame.
        most: the largest log speed that is believed.

    Returns:
        Two arrays of (count + 1) // 2 + 1 knots: log speed, of mean 0 where it is known, and trust, in [0, 1].
    """
    knots = (count + 1) // 2 + 1
    owners, times, values, weights, noise = _observations(tones, first, count, frame)
    if not len(values):
        return np.zeros(knots), np.zeros(knots)
    lower = np.minimum((times // 2).astype(int), knots - 2)
    share = times / 2 - lower
    bend = np.diff(np.eye(knots), 2, axis=0)
    prior = _PULL * np.eye(knots) + _SMOOTH * bend.T @ bend
    number = int(owners.max()) + 1
    robust = np.ones(len(values))
    speed = np.zeros(knots)
    for _ in range(_ROUNDS):
        weight = weights * robust
        speed = _solved(owners, lower, share, values, weight, prior, number)
        rest = values - (1 - share) * speed[lower] - share * speed[lower + 1]
        own = np.bincount(owners, weight * rest, number) / np.maximum(np.bincount(owners, weight, number), 1e-9)
        rest = rest - own[owners]
        robust = 1 / (1 + (rest / noise) ** 2) ** 2
    trust = np.bincount(lower, weights * robust * (1 - share), knots) + np.bincount(
        lower + 1, weights * robust * share, knots
    )
    known = np.minimum(trust / _ENOUGH, 1.0)
    if known.mean() < _COVERED or np.abs(speed).max() > 2 * most:
        return np.zeros(knots), np.zeros(knots)
    speed = np.clip(speed - np.average(speed, weights=known + 1e-6), -most, most)
    return speed, known


def _observations(
    tones: Sequence[Tone], first: int, count: int, frame: float
) -> tuple[np.ndarray, Numbers, Numbers, Numbers, Numbers]:
    """Whose, when (frame pairs from `first`), log frequency, weight, deviation."""
    kept = []
    for tone in tones:
        low, high = max(tone.start, first), min(tone.stop, first + count)
        if (high - low) * frame >= _SHORTEST:
            kept.append((low - first, np.array(tone.course[low - tone.start : high - tone.start])))
    if not kept:
        empty = np.zeros(0)
        return np.zeros(0, int), empty, empty, empty, empty
    middles = np.array([float(np.median(course)) for _, course in kept])
    lengths = np.array([len(course) for _, course in kept])
    # The same tone, interrupted, has one pitch of its own; tones in order of pitch, parted where there is a gap.
    order = np.argsort(middles)
    family = np.empty(len(kept), int)
    family[order] = np.cumsum(np.concatenate(([0], np.diff(middles[order]) > _SAME)))
    heard = np.bincount(family, lengths)
    often = heard > _OFTEN * count
    owner, next_owner = np.empty(len(kept), int), int(family.max()) + 1
    for place, group in enumerate(family.tolist()):
        owner[place], next_owner = (group, next_owner) if often[group] else (next_owner, next_owner + 1)
    seconds = np.where(often[family], heard[family], lengths) * frame
    noise = np.array([np.hypot(_NOISE, _jitter(course)) for _, course in kept])
    sure = (seconds / (seconds + _SURE)) ** 2 * (_NOISE / noise) ** 2
    times = np.concatenate([low + 0.5 + np.arange(len(course)) for low, course in kept])
    values = np.concatenate([course for _, course in kept])
    _, owner = np.unique(owner, return_inverse=True)
    return owner.repeat(lengths), times, values, sure.repeat(lengths), noise.repeat(lengths)


def _jitter(course: Numbers) -> float:
    """Deviation of what changes from frame to frame, which no machine does."""
    return float(np.median(np.abs(np.diff(course, 2)))) / 0.6745 / 6**0.5 if len(course) > 4 else _NOISE


def _solved(
    owners: np.ndarray, lower: np.ndarray, share: Numbers, values: Numbers, weight: Numbers, prior: Numbers, number: int
) -> Numbers:
    """The curve of least squares, with every owner's own value eliminated."""
    knots = len(prior)
    normal = prior.copy()
    np.add.at(normal, (lower, lower), weight * (1 - share) ** 2)
    np.add.at(normal, (lower + 1, lower + 1), weight * share**2)
    np.add.at(normal, (lower, lower + 1), weight * share * (1 - share))
    np.add.at(normal, (lower + 1, lower), weight * share * (1 - share))
    right: Numbers = np.bincount(lower, weight * (1 - share) * values, knots).astype(np.float64)
    right += np.bincount(lower + 1, weight * share * values, knots)
    sums = np.zeros((number, knots))
    np.add.at(sums, (owners, lower), weight * (1 - share))
    np.add.at(sums, (owners, lower + 1), weight * share)
    total = np.maximum(np.bincount(owners, weight, number), 1e-9)
    normal = normal - (sums / total[:, None]).T @ sums
    right = right - sums.T @ (np.bincount(owners, weight * values, number) / total)
    return np.asarray(np.linalg.solve(normal, right))
