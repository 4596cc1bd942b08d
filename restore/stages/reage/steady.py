"""Deltas that do not flicker: averaged over a few frames along the motion of the face in its crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from restore.analysis.flow import Field, Small, enlarged, flow_between, moved, reduced_luma
from restore.stages.reage.alignment import Array
from restore.stages.reage.bands import luma_of

_FLOW_SIDE = 128
_ALIKE = 0.06
"""Difference of luma from which another frame does not show the same skin."""


@dataclass
class View:
    """One face in one frame."""

    matrix: Array
    """(2, 3): pixels of the crop to pixels of the picture."""
    crop: Tensor
    """(3, S, S)."""
    delta: Tensor
    """(3, S, S): the engine's answer."""
    cover: npt.NDArray[np.float32] | None = None
    """See `restore.stages.reage.look.covered`."""
    small: Small = field(init=False)
    """Reduced luma."""

    def __post_init__(self) -> None:
        luma = luma_of(self.crop[None])[0].cpu().numpy()
        self.small = reduced_luma(np.ascontiguousarray(luma), max(1, luma.shape[0] // _FLOW_SIDE))


def steadied(view: View, beside: Sequence[tuple[int, View]]) -> Tensor:
    """(3, S, S): the mean of a view's delta and its neighbours', each brought to where it lies here.

    Neighbours, each with its distance in frames, count where they show what is seen here.
    """
    side = view.delta.shape[-1]
    total, weights = view.delta.clone(), torch.ones(view.delta.shape[1:], device=view.delta.device)
    for away, other in beside:
        flow = flow_between(view.small, other.small)
        weight = torch.from_numpy(_trust(view.small, other.small, flow, side)) * (0.8 ** (away - 1))
        field = enlarged(flow, side, side)
        planes = moved(np.ascontiguousarray(other.delta.permute(1, 2, 0).cpu().numpy()), field)
        weight = weight.to(total)
        total += weight * torch.from_numpy(planes).permute(2, 0, 1).to(total)
        weights += weight
    return total / weights


def _trust(here: Small, there: Small, flow: Field, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(side, side) 0 to 1: how far what lies there is what is seen here."""
    import cv2

    brought = moved(there.astype(np.float32), flow)
    away = cv2.GaussianBlur(np.abs(brought - here.astype(np.float32)) / np.float32(255), (0, 0), 2.0)
    trust = np.exp(-((away / _ALIKE) ** 2)).astype(np.float32)
    return np.asarray(cv2.resize(trust, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
