"""What a network that proposes colours is to the stage: a batch of lightness in, colours of it out.

Everything else (keeping colours steady along a shot, following references, enlarging) is done around it, so a proposer
knows single pictures only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True, slots=True)
class Proposal:
    """Colours proposed for a batch of pictures."""

    ab: torch.Tensor
    """(B, 2, h', w') float32: CIE Lab a*, b* (D65), at whatever size the network works at."""
    confidence: torch.Tensor | None = None
    """(B, 1, h', w') float32 in [0, 1]: how much to trust each place; None where the network cannot tell."""


@dataclass(frozen=True, slots=True)
class ColorHints:
    """Colours that are known already at some places, for a network that can be told."""

    ab: torch.Tensor
    """(B, 2, h, w) float32: CIE Lab a*, b*; 0 where nothing is known."""
    known: torch.Tensor
    """(B, 1, h, w) float32: 1 where a colour is known, 0 elsewhere."""


class Proposer(Protocol):
    """A network that proposes colours, opened on a device. Deterministic, and each picture by itself: the result for
    one does not depend on what else is in the batch."""

    takes_hints: bool
    """Whether `propose` heeds hints."""

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) at which it wants to see pictures that are shown at this size (square pixels)."""
        ...

    def propose(self, lightness: torch.Tensor, hints: ColorHints | None = None) -> Proposal:
        """Colours of a batch.

        Args:
            lightness: (B, 1, h, w) float32 at `input_size`: CIE L* (0 to 100) of the neutral grey that has the
                picture's luma (`restore.colorimetry.lightness_of`).
            hints: of the same size; only where `takes_hints`.
        """
        ...
