"""How far each bin of a noisy spectrum is turned down: log-MMSE, decision-directed from both sides in time.

Ephraim and Malah, Speech enhancement using a minimum mean-square error log-spectral amplitude estimator (IEEE Trans.
ASSP 33, 1985); the presence of speech after Cohen and Berdugo, Speech enhancement for non-stationary noise environments
(Signal Processing 81, 2001). An archive can look ahead: the a-priori ratio is tracked forwards and backwards, and the
larger of the two is believed, so that neither the first nor the last moment of a sound is lost.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restore.analysis.spectrum import ShortTime, smoothed

_ALPHA = 0.98
"""Weight of the past in the decision-directed estimate, at hops of 5 to 8 ms; the value of the 1984 paper."""
_LEAST = 10 ** (-25 / 10)
"""Floor of the a-priori ratio: lower ones let single bins sing (Cappe, 1994)."""
_MOST = 1e4
_ABSENT, _PRESENT = -14.0, -7.0
"""dB of the smoothed a-priori ratio below which speech is taken to be absent, above which to be there."""
_CONSONANTS, _CONSONANT_PRIOR = 2000.0, 0.2
"""Hertz above which, and how likely at least, speech is taken to be there while somebody speaks."""
WARM_UP = 0.35
"""Seconds after which the tracking has forgotten where it began."""


def a_priori(ratio: Tensor) -> Tensor:
    """The ratio of speech to noise before this frame was heard.

    Args:
        ratio: (n, bins, frames), power over noise.

    Returns:
        The same shape, at least `_LEAST`.
    """
    n, bins, frames = ratio.shape
    both = torch.cat((ratio, ratio.flip(2))).permute(2, 0, 1).contiguous()
    fresh = (both - 1).clamp_(min=0).mul_(1 - _ALPHA)
    found = torch.empty_like(both)
    past = torch.full((2 * n, bins), _ALPHA, device=ratio.device)
    for frame in range(frames):
        before = torch.add(fresh[frame], past, out=found[frame]).clamp_(min=_LEAST)
        gain = log_mmse(before, both[frame])
        past = gain.mul_(gain).mul_(both[frame]).mul_(_ALPHA)
    forwards, backwards = found.permute(1, 2, 0).chunk(2)
    return torch.maximum(forwards, backwards.flip(2))


def log_mmse(before: Tensor, ratio: Tensor) -> Tensor:
    """Gain of the log-spectral amplitude estimator, from the a-priori and a-posteriori ratios."""
    wiener = before / (before + 1)
    return wiener * (exponential_integral(wiener * ratio).mul_(0.5)).exp_()


def exponential_integral(value: Tensor) -> Tensor:
    """E1 for positive arguments (Abramowitz and Stegun, 5.1.53 and 5.1.56), to 2e-7 and 5e-5 of it."""
    small = value.clamp(1e-8, 1)
    near = (
        (((small * 0.00107857 - 0.00976004) * small + 0.05519968) * small - 0.24991055) * small + 0.99999193
    ) * small
    near = near - 0.57721566 - small.log()
    large = value.clamp(1, 60)
    far = (large * large + 2.334733 * large + 0.250621) / (large * large + 3.330657 * large + 1.681534)
    far = far / large * (-large).exp()
    return torch.where(value < 1, near, far)


def gains(power: Tensor, noise: Tensor, stft: ShortTime, limit: Tensor, speech: Tensor) -> Tensor:
    """What to multiply a spectrum by, at most 1.

    Args:
        power: (n, bins, frames).
        noise: mean power of the noise, likewise; where it is 0 the gain is 1.
        stft: whose spectra these are.
        limit: (n, 1, frames) dB; no gain is lower.
        speech: (n, 1, frames) how likely there is speech, [0, 1].
    """
    ratio = (power / noise.clamp(min=1e-20)).clamp_(max=_MOST)
    before = a_priori(ratio)
    wiener = before / (before + 1)
    argument = wiener * ratio
    loud = wiener.log() + exponential_integral(argument) * 0.5
    present = speech_presence(before, argument, stft, speech)
    floor = limit * (-math.log(10) / 20)
    gain = torch.maximum(present * loud + (1 - present) * floor, floor).clamp_(max=0.0).exp_()
    return torch.where(noise > 0, gain, torch.ones_like(gain))


def speech_presence(before: Tensor, argument: Tensor, stft: ShortTime, speech: Tensor) -> Tensor:
    """Probability that a bin holds more than noise, from it and from its surroundings near and wide.

    Where somebody speaks, the treble is never given up: an s or an f is faint in every bin.
    """
    across = stft.frames(0.026) | 1
    near = smoothed(before, 3, across)
    wide = smoothed(before, round(1400 * stft.size / stft.rate) | 1, across)
    prior = _likely(near) * _likely(wide)
    treble = (stft.hertz > _CONSONANTS).float().to(prior.device)[:, None]
    prior = torch.maximum(prior.clamp_(0.005 * 0.005, 0.95), _CONSONANT_PRIOR * speech * treble)
    absent = (1 - prior) / prior
    return 1 / (1 + absent * (1 + before) * (-argument.clamp(max=80)).exp_())


def _likely(ratio: Tensor) -> Tensor:
    return ((10 / math.log(10) * ratio.log() - _ABSENT) / (_PRESENT - _ABSENT)).clamp_(0.005, 1)
