"""Whose face is changed: the faces of all shots, grouped to people, and the one who is meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from restore.errors import OptionError, SourceError
from restore.faces.identify import group
from restore.faces.quality import SMALL
from restore.pipeline.contract import Values


def people_of(found: Sequence[Values]) -> list[list[int]]:
    """For each shot, whose each of its faces is: numbers from 1, by how long somebody is to be seen."""
    faces = [(shot, face) for shot, values in enumerate(found) for face in values["faces"]]
    offsets = np.cumsum([0, *(int(values["length"]) for values in found)])
    spans = [(int(offsets[shot] + face["frames"][0]), int(offsets[shot] + face["frames"][1])) for shot, face in faces]
    vectors = [None if face.get("identity") is None else np.array(face["identity"], float) for _, face in faces]
    alike = max((float(values.get("alike", 2.0)) for values in found), default=2.0)
    numbers = group(spans, vectors, alike) if faces else []
    result: list[list[int]] = [[] for _ in found]
    for (shot, _), number in zip(faces, numbers, strict=True):
        result[shot].append(number)
    return result


def chosen(found: Sequence[Values], actor: str | None) -> list[list[int]]:
    """For each shot, which of its faces (from 0) are the actor's.

    Raises SourceError where there is no face that can be worked on, OptionError where it is not clear who is meant.
    """
    widths = [float(face["width"]) for values in found for face in values["faces"]]
    if not widths:
        raise SourceError("no face was found; `restore models pull yunet` fetches a detector that sees turned faces")
    if max(widths) < SMALL:
        raise SourceError(
            f"there are only faces under {SMALL} pixels (the largest is {max(widths):.0f} wide): too small to change; "
            "enlarge the film first with `restore upscale`"
        )
    people = people_of(found)
    numbers = sorted({number for shot in people for number in shot})
    if actor is None:
        if len(numbers) > 1:
            raise OptionError(f"there are {len(numbers)} people; say with --actor which: `restore faces` shows them")
        wanted = numbers[0]
    elif not actor.isdecimal() or int(actor) not in numbers:
        listed = ", ".join(map(str, numbers))
        raise OptionError(f"--actor {actor}: there is no such person; there are {listed} (see `restore faces`)")
    else:
        wanted = int(actor)
    return [[place for place, number in enumerate(shot) if number == wanted] for shot in people]
