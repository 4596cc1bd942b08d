"""Frames of one stretch side by side in memory: windows that overlap are views of them, and nothing is copied twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

_BYTES = 64 << 20
_LONGEST = 16
"""Frames a strip has room for, if they are small: the context is copied once in so many."""

Tensors = tuple[torch.Tensor, ...]


class Strip:
    """Tensors of consecutive frames. What was handed out is never written over."""

    def __init__(self) -> None:
        self._held: Tensors = ()
        self._first = 0
        self._stop = 0

    def view(self, wanted: range, have: range, make: Callable[[Sequence[int]], Tensors]) -> Tensors:
        """(len(wanted), ...) each, of the frames `wanted`, which begin no earlier than those of the last call.

        `make` is asked for those of the frames in `have` that are not here yet; the others are blank.
        """
        fresh = range(max(wanted.start, self._stop), wanted.stop)
        present = [number for number in fresh if number in have]
        made = make(present) if present else ()
        if not self._held or wanted.stop > self._first + len(self._held[0]):
            self._renew(wanted, made)
        for held, new in zip(self._held, made, strict=False):
            for number, row in zip(present, new, strict=True):
                held[number - self._first].copy_(row)
        self._stop = max(self._stop, wanted.stop)
        return tuple(held[wanted.start - self._first : wanted.stop - self._first] for held in self._held)

    def _renew(self, wanted: range, made: Tensors) -> None:
        """A new strip, with what is still wanted of the old one."""
        like = [new[0] for new in made or self._held]
        room = max(len(wanted), min(_LONGEST, _BYTES // sum(row.nbytes for row in like)))
        kept = range(wanted.start, min(self._stop, wanted.stop))
        renewed = []
        for place, row in enumerate(like):
            strip = row.new_zeros((room, *row.shape))
            if self._held and kept:
                strip[: len(kept)] = self._held[place][kept.start - self._first : kept.stop - self._first]
            renewed.append(strip)
        self._held, self._first = tuple(renewed), wanted.start
