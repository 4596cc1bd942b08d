"""How worn a voice sounds, in the four numbers that clinics use: jitter, shimmer, HNR, CPP.

Defined as in Praat (Boersma and Weenink): cycles are found one by one near the pitch track by cross-correlation of
neighbours, jitter and shimmer are mean differences of neighbouring cycles' lengths and peaks; HNR is the correlation of
neighbouring cycles in dB (Boersma, 1993); CPP is how far the pitch stands out of the smoothed cepstrum (Hillenbrand
and Houde, 1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restore.analysis.pitch import pitch_hop, pitch_track

_LONGEST_RATIO = 1.15
"""Neighbouring cycles that differ more are no neighbours: something was missed between them."""
_SURE = 0.7
"""Correlation of a cycle with the next from which its length is trusted."""
_CPP_SECONDS = 0.04


@dataclass(frozen=True)
class VoiceQuality:
    """The measures of one stretch of voice."""

    jitter: float
    """Mean difference of neighbouring cycles' lengths, as a share of the mean length."""
    shimmer: float
    """The same of their heights."""
    hnr: float
    """Harmonics to noise, dB."""
    cpp: float
    """Cepstral peak prominence, dB."""


def voice_quality(sound: Tensor, rate: int) -> VoiceQuality | None:
    """Measure one channel, (samples,); None where there is too little voice."""
    sound = sound.double()
    pitch = pitch_track(sound, rate)
    lengths, heights, alike = _cycles(sound, pitch, rate)
    if len(lengths) < 20:
        return None
    near = (lengths[1:] / lengths[:-1]).clamp(min=1e-9).log().abs() < torch.tensor(_LONGEST_RATIO).log()
    near &= (alike[1:] > _SURE) & (alike[:-1] > _SURE)
    if int(near.sum()) < 10:
        return None
    jitter = float((lengths[1:] - lengths[:-1]).abs()[near].mean() / lengths.mean())
    shimmer = float((heights[1:] - heights[:-1]).abs()[near].mean() / heights.mean())
    share = alike[alike > 0].clamp(0.01, 0.9999)
    hnr = float((10 * torch.log10(share / (1 - share))).mean())
    return VoiceQuality(jitter, shimmer, hnr, _prominence(sound, pitch, rate))


def _cycles(sound: Tensor, pitch: Tensor, rate: int) -> tuple[Tensor, Tensor, Tensor]:
    """Length in samples and height of each cycle, and its correlation with the next (0 where that is not near)."""
    hop = pitch_hop(rate)
    lengths, heights, alike = [], [], []
    at = 0.0
    while at < len(sound):
        frame = min(int(at / hop), len(pitch) - 1)
        hertz = float(pitch[frame])
        if hertz <= 0:
            at += hop
            continue
        expected = rate / hertz
        width = round(expected)
        start = round(at)
        least, most = int(0.8 * expected), int(1.25 * expected) + 2
        if start + width + most >= len(sound):
            break
        first = sound[start : start + width]
        others = sound[start + least : start + most + width].unfold(0, width, 1)
        first = first - first.mean()
        others = others - others.mean(1, keepdim=True)
        match = (others @ first) / (others.square().sum(1) * first.square().sum() + 1e-20).sqrt()
        best = int(match.argmax())
        lag = float(least + best)
        if 0 < best < len(match) - 1:
            below, peak, above = float(match[best - 1]), float(match[best]), float(match[best + 1])
            bend = below - 2 * peak + above
            lag += 0.5 * (below - above) / bend if bend < -1e-12 else 0.0
        lengths.append(lag)
        heights.append(float(first.amax() - first.amin()))
        alike.append(float(match[best]))
        at += lag
    return torch.tensor(lengths), torch.tensor(heights), torch.tensor(alike)


def _prominence(sound: Tensor, pitch: Tensor, rate: int) -> float:
    """Mean height of the cepstral peak at the pitch over the line through the cepstrum, dB, in voiced frames."""
    hop, size = pitch_hop(rate), 1 << round(_CPP_SECONDS * rate).bit_length()
    frames = torch.nonzero(pitch > 0)[:, 0]
    starts = frames * hop - size // 2
    kept = (starts >= 0) & (starts + size <= len(sound))
    starts = starts[kept]
    if not len(starts):
        return 0.0
    window = torch.hann_window(size, dtype=torch.float64)
    peaks = []
    quefrency = torch.arange(size // 2, dtype=torch.float64)
    low, high = int(rate / 400), min(int(rate / 60), size // 2 - 1)
    for some in torch.split(starts, 500):
        parts = sound[some[:, None] + torch.arange(size)] * window
        spectrum = 10 * torch.log10(torch.fft.rfft(parts).abs().square() + 1e-12)
        cepstrum = 20 * torch.log10(torch.fft.irfft(spectrum)[:, : size // 2].abs() + 1e-12)
        region, x = cepstrum[:, low:high], quefrency[low:high] - quefrency[low:high].mean()
        slope = (region * x).sum(1, keepdim=True) / x.square().sum()
        peaks.append((region - region.mean(1, keepdim=True) - slope * x).amax(1))
    return float(torch.cat(peaks).mean())
