"""Where stages repaired the picture, for people to look at: how much of every frame, and each segment's worst mask.

Noted while a segment is rendered, beside it: ``repairs/KEY.npz``. No pixel depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import numpy.typing as npt
import torch

from restore.files import whole

Mask = npt.NDArray[np.bool_]
"""(H, W)."""
_LARGEST = 960
"""Longest side of a mask that is kept."""


@dataclass(frozen=True)
class Repaired:
    """What one stage repaired in one segment."""

    stage: str
    shares: npt.NDArray[np.float32]
    """Of each frame, 0 to 1."""
    worst: float
    """Seconds from the film's first frame at which most was repaired."""
    mask: Mask
    """Of that frame, reduced if it was large."""


class Repairs:
    """Gathers the masks of one segment.

    Args:
        span: its frames; others, which are only looked at, do not count.
    """

    def __init__(self, span: range) -> None:
        self._span = span
        self._shares: dict[str, npt.NDArray[np.float32]] = {}
        self._worst: dict[str, tuple[int, Mask]] = {}

    def see(self, stage: str, frame: int, mask: torch.Tensor) -> None:
        """Take the mask, (1, H, W) bool, of one frame."""
        if frame not in self._span:
            return
        if stage not in self._shares:
            self._shares[stage] = np.zeros(len(self._span), np.float32)
        shares = self._shares[stage]
        share = float(mask.float().mean())
        if share > shares.max():
            self._worst[stage] = (frame, _reduced(mask.flatten(0, -3).any(0).cpu().numpy()))
        shares[frame - self._span.start] = share

    def save(self, path: Path, shown: Callable[[int], float]) -> None:
        """Write down what was repaired, if anything; `shown` says when a frame is, in seconds. Raises OSError."""
        path.unlink(missing_ok=True)
        if not self._worst:
            return
        arrays: dict[str, npt.NDArray[Any]] = {}
        for stage, (frame, mask) in self._worst.items():
            arrays[f"{stage}.shares"] = self._shares[stage]
            arrays[f"{stage}.mask"] = mask
            arrays[f"{stage}.worst"] = np.array(shown(frame))
        path.parent.mkdir(exist_ok=True)
        with whole(path) as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _reduced(mask: Mask) -> Mask:
    scale = _LARGEST / max(mask.shape)
    if scale >= 1:
        return np.asarray(mask, bool)
    smaller = cv2.resize(mask.astype(np.float32), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(smaller > 0, bool)  # the smallest speck stays to be seen


def load_repairs(folder: Path) -> Iterator[Repaired]:
    """What was noted below a job folder; what cannot be read is left out: it is only to be looked at."""
    for path in sorted((folder / "repairs").glob("*.npz")):
        try:
            with np.load(path, allow_pickle=False) as stored:
                for stage in sorted({name.rsplit(".", 1)[0] for name in stored.files}):
                    shares, worst, mask = (stored[f"{stage}.{part}"] for part in ("shares", "worst", "mask"))
                    yield Repaired(stage, shares, float(worst), mask)
        except (OSError, ValueError, KeyError, BadZipFile):
            continue
