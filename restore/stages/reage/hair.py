"""Hair and brows: found by their colour, greyed or coloured."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from restore.stages.reage.bands import blurred
from restore.stages.reage.engines import Wishes
from restore.stages.reage.prototypes import TONE
from restore.stages.reage.skin import Colours, Skin, total
from restore.stages.reage.zones import HEAD, Oval, brow_place, hair_place, oval

_CORE = (Oval(0, -1.30, 0.55, 0.14), Oval(0.98, -0.55, 0.12, 0.28))
"""Above the forehead and at the temples: where most people's hair is."""
_GREY, _DARK, _DARKEST = -0.30, -0.92, -1.6
"""Logarithms of hair's luma over the skin's: grey hair, that of young people in the mean, the darkest."""
_SMOOTH = 0.012
"""Mean absolute value of the finest bands under which nothing is hair."""
_DYED = 2.0
"""Hair greys so many times as much as portraits show: among them are those whose hair is dyed, blond or gone."""
_YOUNG = (0.16, -0.17)
"""Logarithms of red and blue over luma of young people's hair in the mean."""


def hair_change(
    colours: Colours, skin: Skin, wishes: Sequence[Wishes], change: Tensor, strands: Tensor, x: Tensor, y: Tensor,
    unit: float,
) -> Tensor:  # fmt: skip
    """(N, 3, S, S): what is added to the logarithms of luma, and of red and blue over luma, of hair and brows.

    `change`: (N, 4), by how much the table's measures of hair change: see `prototypes.hair_measures`. `strands`:
    (N, S, S), mean absolute value of the finest bands of the logarithm of luma: bald heads and collars are smooth.
    """
    soft = colours.blurred(0.03 * unit)
    rough = ((blurred(strands, 0.06 * unit) - _SMOOTH) / _SMOOTH).clamp(0, 1)
    hair = _hairy(soft, skin, rough, x, y)
    brows = brow_place(x, y) * ((skin.tone - 0.15 - soft.tone) / 0.35).clamp(0, 1)
    total = torch.zeros((len(wishes), 3, *colours.tone.shape[1:]), device=colours.tone.device)
    for row, wish in enumerate(wishes):
        for where, chosen, rise in ((hair, wish.hair_color, change[row, 0]), (brows, wish.brow_color, change[row, 3])):
            to = _towards(chosen, colours, where, row) if chosen else _aged(colours, skin, where, row, rise)
            total[row] += wish.hair * where[row] * to
    return total


def _aged(colours: Colours, skin: Skin, where: Tensor, row: int, rise: Tensor) -> Tensor:
    """(3, S, S): greyer by a share, or less so. Hair of any colour turns to the same grey, so the darker the further;
    grey hair gets, for younger ages, the colour that young hair has on average."""
    share = (_DYED * rise / (_GREY - _DARK)).clamp(-1, 1)
    usual = _usual(colours.tone[row], where[row]) - skin.tone[row]
    if float(share) > 0:
        lift = (share * (_GREY - usual)).clamp(0, 1.4)
        return torch.stack((
            lift.expand_as(where[row]), -share * colours.red[row], -share * colours.blue[row],
        ))  # fmt: skip
    lower = (rise * ((usual - _DARKEST) / (_GREY - _DARKEST)).clamp(0, 1)).expand_as(where[row])
    colourful = skin.colourful[row] * -share
    grey = [(1 - plane[row].abs() / 0.15).clamp(0, 1) for plane in (colours.red, colours.blue)]
    return torch.stack((lower, colourful * grey[0] * _YOUNG[0], colourful * grey[1] * _YOUNG[1]))


def _hairy(soft: Colours, skin: Skin, rough: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(N, S, S) 0 to 1: where there is hair: like what is seen where hair mostly is, not like skin or background."""
    place = hair_place(x, y)
    core = torch.stack([oval(shape, x, y, 0.4).expand_as(soft.tone) for shape in _CORE]).amax(0)
    around = torch.maximum(*(_like(soft, _beside(x, y, sign) + 1e-4) for sign in (-1, 1)))
    other = ((skin.tone - soft.tone).abs() / 0.35).clamp(0, 1)
    not_skin = 1 - skin.likeness * (1 - other)
    sample = core * not_skin * (1 - 0.95 * around) * rough
    sure = ((total(sample) / total(core) - 0.1) / 0.25).clamp(0, 1)
    like = _like(soft, sample + 1e-6)
    return place * sure * rough * not_skin * like / (1 + 2 * (around - 0.5).clamp(min=0) * (1 - like))


def _beside(x: Tensor, y: Tensor, sign: int) -> Tensor:
    """0 to 1: what lies beside the head, on one side."""
    outside = 1 - oval(HEAD._replace(wide=1.75, tall=2.2), x, y, 0.1)
    return outside * (sign * x > 0) * (y < 0.4)


def _like(soft: Colours, sample: Tensor) -> Tensor:
    """(N, S, S) 0 to 1: how much each place has the colour of a sample."""
    weights, away = sample, torch.zeros_like(soft.tone)
    for _ in range(2):
        tone, red, blue = (_mean(plane, weights) for plane in (soft.tone, soft.red, soft.blue))
        away = ((soft.tone - tone) / 0.6) ** 2 + ((soft.red - red) / 0.16) ** 2 + ((soft.blue - blue) / 0.22) ** 2
        weights = sample * torch.exp(-away / 2)
    return torch.exp(-(away - 1).clamp(min=0) / 1.5)


def _mean(plane: Tensor, weights: Tensor) -> Tensor:
    return total(plane * weights) / total(weights).clamp(min=1e-9)


def _usual(tone: Tensor, where: Tensor) -> Tensor:
    return (total((tone * where)[None]) / total(where[None]).clamp(min=1e-3))[0, 0, 0]


def _towards(chosen: str, colours: Colours, where: Tensor, row: int) -> Tensor:
    """(3, S, S): to a colour; light and dark within the hair stay."""
    rgb = torch.tensor([int(chosen[place : place + 2], 16) / 255 for place in (1, 3, 5)]).to(where)
    tone = (rgb @ torch.tensor([0.2126, 0.7152, 0.0722]).to(where) + TONE).log()
    red, blue = ((rgb[c] + TONE).log() - tone for c in (0, 2))
    usual = _usual(colours.tone[row], where[row])
    return torch.stack(((tone - usual).expand_as(where[row]), red - colours.red[row], blue - colours.blue[row]))
