"""Finding damage in one picture, without neighbours: scratches, creases, hairs, specks.

A small network (`restore.nets.marks`) says for every pixel how likely it is damaged; it was trained on photographs with
damage laid over them. Patches of what is likely are kept or dropped as a whole, lines and specks apart.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file

from restore.analysis.flow import Plane
from restore.errors import SourceNotFoundError, WeightsError
from restore.nets.marks import MarkNet

Mask = npt.NDArray[np.bool_]

WORKING = 480
"""Shorter side of the picture in which damage is sought; a larger one is reduced."""
SMALLEST = 32
"""In pictures smaller than this nothing is sought."""
SURE, FAINT = 2.0, 1.0
"""Logarithm of the odds of a pixel that a patch must hold, and of the pixels that belong to it, at a sensitivity of
0.5."""
_SWAY = 8.0
"""By how much the former moves from a sensitivity of 0 to one of 1, the latter by half of it."""
_LINE = 3.0
"""A patch this many times as long as wide is a line."""


def load_net(path: Path) -> MarkNet:
    """Read the network's weights. Raises SourceNotFoundError, WeightsError."""
    if not path.is_file():
        raise SourceNotFoundError(f"no weights at {path}")
    try:
        state = load_file(path)
        net = MarkNet(state["first.weight"].shape[0])
        net.load_state_dict(state)
    except (SafetensorError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path} does not hold a detector of damage: {reason}") from error
    return net.float().eval()


def odds_of(net: MarkNet, luma: Plane) -> Plane:
    """(H, W): logarithm of the odds of damage, pixel by pixel."""
    height, width = luma.shape
    shown = torch.from_numpy(np.ascontiguousarray(luma))[None, None].clamp(0, 1)
    shown = F.pad(shown, (0, -width % MarkNet.multiple, 0, -height % MarkNet.multiple), mode="replicate")
    with torch.inference_mode():
        return np.asarray(net(shown)[0, 0, :height, :width].numpy(), np.float32)


def damaged(net: MarkNet, luma: Plane, sensitivity: float, lines: bool = True, specks: bool = True) -> Mask:
    """Where a picture is damaged, (H, W)."""
    height, width = luma.shape
    if min(height, width) < SMALLEST or not (lines or specks):
        return np.zeros((height, width), bool)
    scale = min(1.0, WORKING / min(height, width))
    size = (round(width * scale), round(height * scale))
    small = luma if scale == 1 else np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.float32)
    sway = _SWAY * (0.5 - sensitivity)
    found = mask_of(odds_of(net, small), SURE + sway, FAINT + sway / 2, lines, specks)
    if found.shape == luma.shape:
        return found
    enlarged = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged > 0.4, bool)


def mask_of(odds: Plane, sure: float, faint: float, lines: bool = True, specks: bool = True) -> Mask:
    """Connected pixels whose odds are above `faint` and that hold one above `sure`.

    The network's own soft rim is all the rim there is: a wider one costs more of sound pictures than it repairs.
    """
    number, labels = cv2.connectedComponents((odds > faint).astype(np.uint8), connectivity=8)
    keep = np.zeros(number, bool)
    keep[labels[odds > sure]] = True
    keep[0] = False
    if not (lines and specks):
        for label in np.flatnonzero(keep):
            points = np.stack(np.nonzero(labels == label)[::-1], 1).astype(np.float32)
            _, sides, _ = cv2.minAreaRect(points)
            is_line = max(sides) + 1 >= _LINE * (min(sides) + 1)
            keep[label] = lines if is_line else specks
    return np.asarray(keep[labels], bool)
