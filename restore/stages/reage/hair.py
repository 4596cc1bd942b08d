"""Hair and brows: found by their colour, greyed or coloured."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from restore.stages.reage.engines import Wishes
from restore.stages.reage.prototypes import TONE
from restore.stages.reage.skin import Colours, Skin
from restore.stages.reage.zones import Oval, brow_place, hair_place, oval

_CORE = (Oval(0, -1.30, 0.55, 0.14), Oval(0.98, -0.55, 0.12, 0.28))
"""Above the forehead and at the temples: where most people's hair is."""


def hair_change(
    colours: Colours, skin: Skin, wishes: Sequence[Wishes], change: Tensor, x: Tensor, y: Tensor, unit: float
) -> Tensor:
    """(N, 3, S, S): what is added to the logarithms of luma, and of red and blue over luma, of hair and brows.

    `change`: (N, 4), by how much the table's measures of hair change: see `prototypes.hair_measures`.
    """
    soft = colours.blurred(0.03 * unit)
    hair = _hairy(soft, skin, x, y)
    brows = brow_place(x, y) * ((skin.tone - 0.15 - soft.tone) / 0.35).clamp(0, 1)
    total = torch.zeros((len(wishes), 3, *colours.tone.shape[1:]), device=colours.tone.device)
    for row, wish in enumerate(wishes):
        for where, chosen, lighter in (
            (hair, wish.hair_color, change[row, 0]),
            (brows, wish.brow_color, change[row, 3]),
        ):
            if chosen is not None:
                total[row] += wish.hair * where[row] * _towards(chosen, colours, where, row)
            else:
                grey = (lighter / 0.5).clamp(-0.6, 0.9)
                to = torch.stack((lighter.expand_as(where[row]), -grey.clamp(min=0) * colours.red[row],
                                  -grey.clamp(min=0) * colours.blue[row]))  # fmt: skip
                total[row] += wish.hair * where[row] * to
    return total


def _hairy(soft: Colours, skin: Skin, x: Tensor, y: Tensor) -> Tensor:
    """(N, S, S) 0 to 1: where there is hair: like what is seen where hair mostly is, and not like skin."""
    place = hair_place(x, y)
    core = torch.stack([oval(shape, x, y, 0.4).expand_as(soft.tone) for shape in _CORE]).amax(0) + 1e-4
    core = core * ((skin.tone - 0.1 - soft.tone) / 0.3).clamp(0.02, 1) * (1 - skin.likeness)
    for _ in range(2):
        tone, red, blue = (_mean(plane, core) for plane in (soft.tone, soft.red, soft.blue))
        away = ((soft.tone - tone) / 0.6) ** 2 + ((soft.red - red) / 0.16) ** 2 + ((soft.blue - blue) / 0.22) ** 2
        core = core * torch.exp(-away / 2)
    like = torch.exp(-(away - 1).clamp(min=0) / 1.5)
    other = ((soft.tone - skin.tone).abs() / 0.35).clamp(0, 1)
    return place * like * (1 - skin.likeness * (1 - other))


def _mean(plane: Tensor, weights: Tensor) -> Tensor:
    return (plane * weights).sum((1, 2), keepdim=True) / weights.sum((1, 2), keepdim=True).clamp(min=1e-4)


def _towards(chosen: str, colours: Colours, where: Tensor, row: int) -> Tensor:
    """(3, S, S): to a colour; light and dark within the hair stay."""
    rgb = torch.tensor([int(chosen[place : place + 2], 16) / 255 for place in (1, 3, 5)]).to(where)
    tone = (rgb @ torch.tensor([0.2126, 0.7152, 0.0722]).to(where) + TONE).log()
    red, blue = ((rgb[c] + TONE).log() - tone for c in (0, 2))
    weight = where[row].sum().clamp(min=1e-3)
    usual = (colours.tone[row] * where[row]).sum() / weight
    return torch.stack(((tone - usual).expand_as(where[row]), red - colours.red[row], blue - colours.blue[row]))
