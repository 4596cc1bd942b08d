"""The pitch of a voice: how long its cycles are, and where it has any."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Row = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

HOP_SECONDS = 0.005
LOWEST, HIGHEST = 60.0, 500.0
_WORK_RATE = 8000
_FRAME_SECONDS = 0.045
_VOICED = 0.5
"""Least normalised correlation of two neighbouring stretches of voice; hoarse voices reach 0.6."""
_JUMP = 1.6
"""What an octave from one frame to the next costs, in units of correlation."""
_SWITCH = 0.2
"""What beginning or ending to be voiced costs."""
_LONG = 0.06
"""What a cycle twice as long costs: two cycles look like one, too."""


def pitch_hop(rate: int) -> int:
    """Samples from one frame of a pitch track to the next."""
    return max(1, round(HOP_SECONDS * rate))


def pitch_track(sound: Tensor, rate: int) -> Tensor:
    """Follow the pitch, by normalised cross-correlation (Talkin's RAPT, 1995) and the best path through its peaks.

    Args:
        sound: (samples,), one channel.
        rate: samples a second.

    Returns:
        (frames,) float64: hertz every `pitch_hop` samples from the first on; 0 where there is no voice.
    """
    frames = 1 + len(sound) // pitch_hop(rate)
    low = _lowered(sound.double(), rate)
    match, lags = _correlation(low, frames, pitch_hop(rate) / rate * _WORK_RATE)
    if not bool((low.abs() > 1e-6).any()):
        return torch.zeros(frames, dtype=torch.float64)
    path = _best_path(match, lags)
    found = torch.zeros(frames, dtype=torch.float64)
    for frame in torch.nonzero(path >= 0)[:, 0].tolist():
        place = int(path[frame])
        lag = float(lags[place])
        if 0 < place < len(lags) - 1:
            below, at, above = (float(match[frame, place + step]) for step in (-1, 0, 1))
            bend = below - 2 * at + above
            lag += 0.5 * (below - above) / bend if bend < -1e-9 else 0.0
        found[frame] = _WORK_RATE / lag
    return found


def _lowered(sound: Tensor, rate: int) -> Tensor:
    """At `_WORK_RATE`, without what lies below or above the first few harmonics."""
    samples = len(sound)
    wanted = max(1, round(samples * _WORK_RATE / rate))
    spectrum = torch.fft.rfft(sound)
    hertz = torch.fft.rfftfreq(samples, 1 / rate)
    spectrum = spectrum * ((hertz / 50).clamp(max=1) ** 2) / (1 + (hertz / 1500) ** 4)
    bins = wanted // 2 + 1
    kept = torch.nn.functional.pad(spectrum[:bins], (0, max(0, bins - len(spectrum))))
    low: Tensor = torch.fft.irfft(kept, wanted) * (wanted / samples)
    return low


def _correlation(low: Tensor, frames: int, hop: float) -> tuple[Tensor, Tensor]:
    """(frames, lags) how alike two stretches a lag apart are, centred on each frame; and the lags."""
    lags = torch.arange(int(_WORK_RATE / HIGHEST), int(_WORK_RATE / LOWEST) + 1)
    width = round(_FRAME_SECONDS * _WORK_RATE)
    longest = int(lags[-1])
    reach = width + longest
    size = 1 << (reach + width).bit_length()
    padded = torch.nn.functional.pad(low, (reach, reach + round(hop)))
    starts = (torch.arange(frames) * hop).round().long() + reach - (width + longest) // 2
    parts = []
    for some in torch.split(starts, 2000):
        pieces = padded[(some[:, None] + torch.arange(reach)).clamp(max=len(padded) - 1)]
        pieces = pieces - pieces.mean(1, keepdim=True)
        first = pieces[:, :width]
        product = torch.fft.irfft(torch.fft.rfft(pieces, size) * torch.fft.rfft(first, size).conj(), size)[:, lags]
        power = torch.nn.functional.pad(torch.cumsum(pieces.square(), 1), (1, 0))
        energy = power[:, lags + width] - power[:, lags]
        floor = width * 1e-8
        parts.append(product / ((power[:, width : width + 1] + floor) * (energy + floor)).sqrt())
    return torch.cat(parts), lags


def _best_path(match: Tensor, lags: Tensor) -> Tensor:
    """(frames,) the place in `lags` of each frame's cycle, -1 where it is unvoiced."""
    octaves = torch.log2(lags.double())
    merit = (match - _LONG * (octaves - octaves[0]) - _VOICED).numpy()
    slope = _JUMP * octaves.numpy()
    total, silent = merit[0], 0.0
    back, woke = [], []
    for row in merit[1:]:
        # The best of all others less the way to them, at every lag: two running maxima, since ways add up.
        rising, from_below = _running_best(total + slope)
        falling, from_above = _running_best((total - slope)[::-1])
        rising, falling = rising - slope, falling[::-1] + slope
        best = np.maximum(rising, falling)
        where = np.where(rising >= falling, from_below, len(row) - 1 - from_above[::-1])
        entered = silent - _SWITCH
        left, last = float(total.max()) - _SWITCH, int(total.argmax())
        back.append(np.where(entered > best, -1, where))
        woke.append(last if left > silent else -1)
        total, silent = np.maximum(best, entered) + row, max(silent, left)
    place = int(total.argmax()) if total.max() > silent else -1
    path = [place]
    for where, last in zip(reversed(back), reversed(woke), strict=True):
        place = int(where[place]) if place >= 0 else last
        path.append(place)
    return torch.tensor(path[::-1])


def _running_best(values: Row) -> tuple[Row, Places]:
    """The largest of the values so far at each place, and where it was first."""
    best = np.maximum.accumulate(values)
    new = np.concatenate(([True], values[1:] > best[:-1]))
    return best, np.maximum.accumulate(np.where(new, np.arange(len(values)), 0))


def at_every(values: Tensor, first: int, samples: int, rate: int) -> Tensor:
    """(samples,) from sample `first` on: a pitch track led linearly between its frames, but not across the beginnings
    and ends of voicing."""
    place = torch.arange(first, first + samples, dtype=torch.float64) / pitch_hop(rate)
    lower = place.floor().long().clamp(0, len(values) - 1)
    upper = (lower + 1).clamp(max=len(values) - 1)
    before, after = values[lower], values[upper]
    both = (before > 0) & (after > 0)
    nearer = torch.where(place - lower < 0.5, before, after)
    return torch.where(both, torch.lerp(before, after, (place - lower).clamp(0, 1)), nearer)
