"""Colours of whole shots, from frames whose colours are known: followed from each of them both ways, and blended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from restore.analysis.flow import Plane, Small
from restore.stages.colorize.follow import Anchor, Follower, Paint
from restore.stages.colorize.records import Records

_LEAST = 1e-3
_SETTLES = 0.6
"""How much of what an anchor shows is taken from the anchor before it, where anchors are only proposed."""


@dataclass(frozen=True)
class Known:
    """The frames of a shot whose colours are known, by number from the shot's first."""

    numbers: Sequence[int]
    anchor: Callable[[int], Anchor]
    """Makes one of them; they are asked for in order, each once or twice."""
    proposed: bool = False
    """Whether nobody decided on them: then each is drawn towards what the one before it says."""


def _blend(forth: tuple[Paint, Plane], back: tuple[Paint, Plane], share: float) -> tuple[Paint, Plane]:
    """What two anchors say of a frame that lies `share` of the way from the first to the second."""
    first = (1 - share) * (forth[1] + _LEAST)
    second = share * (back[1] + _LEAST)
    weight = first + second
    paint = np.asarray((forth[0] * first[..., None] + back[0] * second[..., None]) / weight[..., None], np.float32)
    # By distance, but one that has lost its way does not pull down one that has not.
    trust = np.maximum((forth[1] * first + back[1] * second) / weight, np.minimum(forth[1], back[1]))
    return paint, np.asarray(trust, np.float32)


Told = tuple[int, Paint, Plane]
"""A frame's number in its shot, its paint, and how sure that is."""


def spread(known: Known, luma: Callable[[int], Small], count: int) -> Iterator[Told]:
    """Every frame of a shot of `count`, in no certain order, each once.

    `luma` gives the plan's picture of a frame. What is held in memory does not grow with the shot.
    """
    numbers = list(known.numbers)
    anchor = known.anchor(numbers[0])
    yield numbers[0], anchor.paint, anchor.trust
    yield from _away(anchor, range(numbers[0] - 1, -1, -1), luma)
    for start, stop in zip(numbers, numbers[1:], strict=False):
        following = known.anchor(stop)
        with Between(anchor, range(start + 1, stop + 1), luma) as between:
            if known.proposed:
                following = between.settled(following)
            yield stop, following.paint, following.trust
            yield from between.blended(following)
        anchor = following
    yield from _away(anchor, range(numbers[-1] + 1, count), luma)


def _away(anchor: Anchor, numbers: range, luma: Callable[[int], Small]) -> Iterator[Told]:
    follower = Follower(anchor)
    for number in numbers:
        follower.step(luma(number))
        yield number, follower.paint, follower.trust


class Between:
    """The frames from one anchor to the next: what the first says of them is kept on the disk, then what the second
    says is blended in, going backwards."""

    def __init__(self, anchor: Anchor, numbers: range, luma: Callable[[int], Small]) -> None:
        self._numbers, self._luma = numbers, luma
        shape = (*anchor.luma.shape, anchor.paint.shape[2] + 1)
        self._kept = Records(shape, np.float16)
        for place, (_, paint, trust) in enumerate(_away(anchor, numbers, luma)):
            self._kept[place] = np.dstack((paint, trust))

    def __enter__(self) -> Between:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def _forth(self, place: int) -> tuple[Paint, Plane]:
        kept = self._kept[place].astype(np.float32)
        return kept[..., :-1], kept[..., -1]

    def settled(self, anchor: Anchor) -> Anchor:
        """The second anchor, drawn towards what the first says of its frame."""
        paint, trust = self._forth(len(self._numbers) - 1)
        share = (_SETTLES * np.minimum(1, trust / np.maximum(anchor.trust, 0.05)))[..., None]
        return Anchor(anchor.luma, anchor.paint + share * (paint - anchor.paint), np.maximum(anchor.trust, trust))

    def blended(self, anchor: Anchor) -> Iterator[Told]:
        """All frames but the second anchor's own."""
        inner = self._numbers[:-1]
        back = _away(anchor, inner[::-1], self._luma)
        for place, (number, paint, trust) in zip(range(len(inner) - 1, -1, -1), back, strict=True):
            share = (place + 1) / (len(inner) + 1)
            yield number, *_blend(self._forth(place), (paint, trust), share)
