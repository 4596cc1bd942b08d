"""How far each bin of a noisy spectrum is turned down: log-MMSE, decision-directed from both sides in time.

Ephraim and Malah, Speech enhancement using a minimum mean-square error log-spectral amplitude estimator (IEEE Trans.
ASSP 33, 1985); the presence of speech after Cohen and Berdugo, Speech enhancement for non-stationary noise environments
(Signal Processing 81, 2001). An archive can look ahead: the a-priori ratio is tracked forwards and backwards, and the
larger of the two is believed, so that neither the first nor the last moment of a sound is lost.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
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


def a_priori(ratio: Tensor, stft: ShortTime) -> Tensor:
    """The ratio of speech to noise before this frame was heard.

    Args:
        ratio: (n, frames, bins), power over noise.
        stft: whose frames these are.

    Returns:
        The same shape, at least `_LEAST`.
    """
    n, frames, bins = ratio.shape
    warm = stft.frames(WARM_UP)
    each = -(-frames // max(1, frames // (3 * warm)))  # parts are followed side by side, each after a warm-up
    count = -(-frames // each)
    padded = F.pad(ratio, (0, 0, warm, warm + count * each - frames), value=1.0)
    parts = padded.unfold(1, each + 2 * warm, each).permute(3, 0, 1, 2)
    both = torch.stack((parts[: warm + each], parts.flip(0)[: warm + each]), 1).flatten(1, 3)
    fresh = (both - 1).clamp_(min=0).mul_(1 - _ALPHA)
    found = torch.empty_like(both)
    past = torch.ones_like(both[0])
    for frame in range(warm + each):
        before = torch.add(fresh[frame], past, alpha=_ALPHA, out=found[frame]).clamp_(min=_LEAST)
        wiener = before / (before + 1)
        past = log_mmse_power(wiener * both[frame]).mul_(wiener)
    forwards, backwards = found[warm:].view(each, 2, n, count, bins).permute(1, 2, 3, 0, 4)
    larger = torch.maximum(forwards, backwards.flip(2))
    return larger.reshape(n, count * each, bins)[:, :frames]


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
        power: (n, frames, bins).
        noise: mean power of the noise, likewise; where it is 0 the gain is 1.
        stft: whose spectra these are.
        limit: (n, frames, 1) dB; no gain is lower.
        speech: (n, frames, 1) how likely there is speech, [0, 1].
    """
    ratio = (power / noise.clamp(min=1e-20)).clamp_(1e-10, _MOST)
    before = a_priori(ratio, stft)
    wiener = before / (before + 1)
    argument = wiener * ratio
    present = speech_presence(before, argument, stft, speech)
    loud = log_mmse_power(argument).mul_(wiener).div_(ratio).log_().mul_(0.5)
    floor = limit * (-math.log(10) / 20)
    gain = torch.lerp(floor, loud, present, out=loud)
    gain = torch.maximum(gain, floor, out=gain).clamp_(max=0.0).exp_()
    return gain.masked_fill_(noise <= 0, 1.0)


def speech_presence(before: Tensor, argument: Tensor, stft: ShortTime, speech: Tensor) -> Tensor:
    """Probability that a bin holds more than noise, from it and from its surroundings near and wide.

    Where somebody speaks, the treble is never given up: an s or an f is faint in every bin.
    """
    across = stft.frames(0.026) | 1
    lasting = running_mean(before, across, 1)
    near = running_mean(lasting, 3, 2)
    wide = running_mean(lasting, round(1400 * stft.size / stft.rate) | 1, 2)
    treble = (stft.hertz > _CONSONANTS).float().to(before.device)
    least = (_CONSONANT_PRIOR * speech * treble).clamp_(min=0.005 * 0.005)
    prior = torch.maximum(_likely(near).mul_(_likely(wide)), least).clamp_(max=0.95)
    absent = argument.neg().exp_().mul_(before + 1).mul_((1 - prior).div_(prior))
    return absent.add_(1).reciprocal_()


def _likely(ratio: Tensor) -> Tensor:
    scale = 10 / math.log(10) / (_PRESENT - _ABSENT)
    return ratio.log_().mul_(scale).sub_(_ABSENT / (_PRESENT - _ABSENT)).clamp_(0.005, 1)
