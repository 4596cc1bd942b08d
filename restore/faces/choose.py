"""Which of the people of a film is meant: by number, by name, by a photograph, or by where their face is to be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import numpy.typing as npt

from restore.errors import OptionError, SourceError
from restore.faces.detect import Detector, Face, Picture
from restore.faces.identify import Embedder
from restore.faces.quality import SMALL
from restore.faces.wanted import Place, Wanted

Array = npt.NDArray[np.float64]

_ROOM = 0.15
"""Share of a box's sides by which a place may miss it."""
_NEARLY = 0.1
"""Difference of distances from two boxes' middles, in widths, under which a place means neither more."""
_TIED = 0.05
"""Difference of likeness under which two people are equally like a photograph."""


@dataclass(frozen=True)
class Candidate:
    """One of the people of a film, and what there is to know them by."""

    number: int
    name: str
    frames: int
    """In which they are followed."""
    width: float
    """Pixels of the source of their face where it is largest."""
    box: tuple[float, float, float, float] | None = None
    """x, y, width, height of their face in the frame that a `Place` names, if it is there."""
    likeness: float | None = None
    """With the photograph asked for: 1 is what makes two faces one person's. See `likeness_to`."""
    doubtful: bool = False
    """Whether it was seldom taken for a face: it is meant only where somebody says so."""


def choose(wanted: Wanted, people: Sequence[Candidate]) -> tuple[int, ...]:
    """The number of the one person who is meant; several where several were named as one.

    Raises OptionError where nobody is meant, or two equally; SourceError where there is no face, or all are too small.
    """
    if not people:
        raise SourceError("no face was found; `restore models pull yunet` fetches a detector that sees turned faces")
    largest = max(person.width for person in people)
    if largest < SMALL:
        raise SourceError(
            f"there are only faces under {SMALL} pixels (the largest is {largest:.0f} wide): too small to work on; "
            "enlarge the film first with `restore upscale`"
        )
    if wanted.place is not None:
        meant = [_there(wanted.place, people)]
    elif wanted.photo is not None:
        meant = [_alike(wanted.photo, people)]
    elif wanted.called:
        meant = [_called(name, people) for name in wanted.called]
    elif len(sure := [person for person in people if not person.doubtful]) == 1:
        meant = sure
    elif not sure:
        raise OptionError(
            f"what was found was seldom taken for a face: {_listed(people)}; `restore faces` shows it; if it is one, "
            "say so with --actor NUMBER"
        )
    else:
        raise OptionError(
            f"there are {len(sure)} people: {_listed(sure)}; say whose face is meant with --actor NUMBER "
            "(`restore faces` shows them) or --at TIME@X,Y"
        )
    widest = max(person.width for person in meant)
    if widest < SMALL:
        raise SourceError(
            f"{meant[0].name}: is never wider than {widest:.0f} pixels, and under {SMALL} there is too little to work "
            "on; enlarge the film first with `restore upscale`"
        )
    return tuple(dict.fromkeys(person.number for person in meant))


def _called(name: str, people: Sequence[Candidate]) -> Candidate:
    said = f"--actor {name}"
    if name.isdecimal():
        for person in people:
            if person.number == int(name):
                return person
        raise OptionError(f"{said}: there is no such person; there are {_listed(people)}; `restore faces` shows them")
    same = [person for person in people if person.name.casefold() == name.casefold()]
    if len(same) == 1:
        return same[0]
    if same:
        numbers = " and ".join(str(person.number) for person in same)
        raise OptionError(f"{said}: persons {numbers} are both called that; give the number")
    names = {person.name.casefold(): person.name for person in people}
    close = get_close_matches(name.casefold(), names, 1)
    hint = f"did you mean {names[close[0]]}?" if close else f"there are {', '.join(names.values())}"
    raise OptionError(f"{said}: nobody is called that; {hint}")


def _there(place: Place, people: Sequence[Candidate]) -> Candidate:
    """Whose face is at a place."""
    near, others = [], []
    for person in people:
        if person.box is None:
            continue
        x, y, width, height = person.box
        away = (place.x - x - width / 2) / width, (place.y - y - height / 2) / height
        others.append(f"{person.name} at {x + width / 2:.0f},{y + height / 2:.0f}")
        if max(map(abs, away)) <= 0.5 + _ROOM:
            near.append((math.hypot(*away), person))
    near.sort(key=lambda pair: pair[0])
    if not near:
        there = " and ".join(others) or "none that was found"
        raise OptionError(f"--at {place}: no face is there; in that frame there is {there}")
    if len(near) > 1 and near[1][0] - near[0][0] < _NEARLY:
        both = f"{near[0][1].name} and {near[1][1].name}"
        raise OptionError(f"--at {place}: {both} are equally near; choose by number with --actor")
    return near[0][1]


def _alike(photo: Path, people: Sequence[Candidate]) -> Candidate:
    """Who looks like a photograph."""
    ranked = sorted(people, key=lambda person: -(person.likeness or 0.0))
    best, second = ((person.likeness or 0.0) for person in (ranked[0], ranked[min(1, len(ranked) - 1)]))
    if best < 1:
        raise OptionError(
            f"--actor {photo}: nobody in the film looks like that; the nearest is {ranked[0].name}, with "
            f"{100 * max(0.0, best):.0f} % of the likeness that it takes; choose by number if it is"
        )
    if len(ranked) > 1 and second >= 1 and best - second < _TIED:
        raise OptionError(
            f"--actor {photo}: {ranked[0].name} and {ranked[1].name} look equally like that; choose by number, or say "
            "in edits.json that they are one"
        )
    return ranked[0]


def portrayed(picture: Picture, name: str, detector: Detector) -> Face:
    """The one face of a photograph, (H, W, 3); where there are several, the one that is far larger than the others.

    Raises OptionError; `name` is the photograph's, for the message.
    """
    found = sorted(detector.find(picture), key=lambda face: -float(face.box[2]))
    found = [face for face in found if face.score >= detector.sure]
    if not found:
        raise OptionError(f"{name}: no face was found in it")
    if found[0].box[2] < SMALL:
        raise OptionError(f"{name}: its face is under {SMALL} pixels wide; take a larger picture")
    if len(found) > 1 and found[1].box[2] > found[0].box[2] / 1.5:
        raise OptionError(f"{name}: shows {len(found)} faces, and which is meant is not said; cut one out")
    return found[0]


def likeness_to(vector: Array, own: Sequence[Array], embedder: Embedder) -> float:
    """How like a face a person is, from 0: the cosine of `vector` with the mean of their own, over the least that makes
    two faces one person's."""
    if not len(own):
        return 0.0
    mean = np.sum(own, axis=0)
    return max(0.0, float(mean @ vector / max(1e-12, np.linalg.norm(mean))) / embedder.alike)


def _listed(people: Sequence[Candidate]) -> str:
    shown = [f"{person.number} ({person.frames} frames)" for person in people[:6]]
    return ", ".join(shown) + (", ..." if len(people) > 6 else "")
