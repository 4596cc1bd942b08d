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

from restore.analysis.running import running_mean
from restore.analysis.spectrum import ShortTime

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
        wiener = before / (before + 1)
        past = log_mmse_power(wiener * both[frame]).mul_(wiener).mul_(_ALPHA)
    forwards, backwards = found.permute(1, 2, 0).chunk(2)
    return torch.maximum(forwards, backwards.flip(2))


_POWER = 0.07579421, 0.03577718, 0.39759796, 0.77679164, 1.0
"""Denominator of the rational function in `log_mmse_power`, highest power first; fitted to SciPy's `exp1`."""


def log_mmse_power(value: Tensor) -> Tensor:
    """v exp(E1(v)), for v not below 0: what the log-spectral gain makes of a bin, within 0.003 dB of its gain.

    With the Wiener gain W and v = W times the a-posteriori ratio, the gain squared is W v exp(E1(v)) / ratio.
    """
    below = value * _POWER[0]
    for factor in _POWER[1:-1]:
        below = below.add_(factor).mul_(value)
    return below.add_(_POWER[-1]).reciprocal_().mul_(0.56145948).add_(value)


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
    loud = (wiener * log_mmse_power(argument) / ratio.clamp(min=1e-10)).log_().mul_(0.5)
    present = speech_presence(before, argument, stft, speech)
    floor = limit * (-math.log(10) / 20)
    gain = torch.maximum(present * loud + (1 - present) * floor, floor).clamp_(max=0.0).exp_()
    return torch.where(noise > 0, gain, torch.ones_like(gain))


def speech_presence(before: Tensor, argument: Tensor, stft: ShortTime, speech: Tensor) -> Tensor:
    """Probability that a bin holds more than noise, from it and from its surroundings near and wide.

    Where somebody speaks, the treble is never given up: an s or an f is faint in every bin.
    """
    across = stft.frames(0.026) | 1
    lasting = running_mean(before, across, 2)
    near = running_mean(lasting, 3, 1)
    wide = running_mean(lasting, round(1400 * stft.size / stft.rate) | 1, 1)
    prior = _likely(near) * _likely(wide)
    treble = (stft.hertz > _CONSONANTS).float().to(prior.device)[:, None]
    prior = torch.maximum(prior.clamp_(0.005 * 0.005, 0.95), _CONSONANT_PRIOR * speech * treble)
    absent = (1 - prior) / prior
    return 1 / (1 + absent * (1 + before) * (-argument.clamp(max=80)).exp_())


def _likely(ratio: Tensor) -> Tensor:
    return ((10 / math.log(10) * ratio.log() - _ABSENT) / (_PRESENT - _ABSENT)).clamp_(0.005, 1)
