"""Whose face is changed: the faces of all shots, grouped to people, and the one who is meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from restore.errors import OptionError
from restore.faces.choose import Candidate, choose, likeness_to, portrayed
from restore.faces.detect import choose_detector
from restore.faces.identify import Embedder, Person, Said, cast, choose_embedder, group
from restore.faces.track import EVERY
from restore.faces.wanted import Wanted
from restore.media import color
from restore.media.pictures import read_picture, upright
from restore.pipeline.contract import Values

Array = npt.NDArray[np.float64]
Face = dict[str, Any]
"""As `FaceAnalyzer.finish` describes it."""
_OFTEN, _SELDOM = 8, 0.5
"""Looks in which it must be found, or share of all of them, lest it be doubtful whether it is a face at all."""


def people_of(found: Sequence[Values], said: Sequence[Said] = ()) -> list[Person]:
    """The people of a film, from what was found in each of its shots, numbered as `restore faces` numbers them; tracks
    are its faces from 1, through all shots. Raises PlanError."""
    faces = _faces(found)
    offsets = np.cumsum([0, *(int(values["length"]) for values in found)])
    spans = [(int(offsets[shot] + face["frames"][0]), int(offsets[shot] + face["frames"][1])) for shot, face in faces]
    alike = max((float(values.get("alike", 2.0)) for values in found), default=2.0)
    numbers = group(spans, [_identity(face) for _, face in faces], alike) if faces else []
    return cast(dict(enumerate(numbers, 1)), said)


def chosen(
    found: Sequence[Values], wanted: Wanted, said: Sequence[Said] = (), detector: str = "auto"
) -> list[list[int]]:
    """For each shot, which of its faces (from 0) are the actor's.

    Raises SourceError where there is no face that can be worked on, OptionError where it is not clear who is meant,
    PlanError where what was `said` of the people cannot be.
    """
    faces, people = _faces(found), people_of(found, said)
    like: dict[int, float] = {}
    if wanted.photo is not None:
        embedder = choose_embedder()
        if embedder is None:
            raise OptionError(
                f"--actor {wanted.photo}: to know a face from a photograph, weights that tell faces apart are needed: "
                "`restore models pull sface`; or choose by number, or with --at TIME@X,Y"
            )
        vector = photographed(wanted.photo, embedder, detector)
        for person in people:
            own = [_identity(faces[track - 1][1]) for track in person.tracks]
            like[person.number] = likeness_to(vector, [v for v in own if v is not None], embedder)
    candidates = [_candidate(person, [faces[track - 1][1] for track in person.tracks], like) for person in people]
    meant = choose(wanted, candidates)
    tracks = {track for person in people if person.number in meant for track in person.tracks}
    result: list[list[int]] = []
    number = 0
    for values in found:
        result.append([place for place in range(len(values["faces"])) if number + place + 1 in tracks])
        number += len(values["faces"])
    return result


def photographed(photo: Path, embedder: Embedder, detector: str) -> Array:
    """(D,) the direction of the face in a photograph. Raises OptionError, SourceError."""
    stored = upright(read_picture(photo))
    planes = tuple(torch.from_numpy(np.ascontiguousarray(plane))[None] for plane in stored.planes)
    rgb = color.to_rgb(planes, stored.pixel, stored.color)[0].permute(1, 2, 0).mul(255).add(0.5).clamp(0, 255)
    picture = np.ascontiguousarray(rgb.to(torch.uint8).numpy())
    return embedder.embed(picture, portrayed(picture, str(photo), choose_detector(detector)).points)


def _faces(found: Sequence[Values]) -> list[tuple[int, Face]]:
    return [(shot, face) for shot, values in enumerate(found) for face in values["faces"]]


def _identity(face: Face) -> Array | None:
    return None if face.get("identity") is None else np.array(face["identity"], np.float64)


def _candidate(person: Person, faces: Sequence[Face], like: dict[int, float]) -> Candidate:
    frames = sum(face["frames"][1] - face["frames"][0] for face in faces)
    boxes = [face["asked"] for face in faces if "asked" in face]
    box = (boxes[0][0], boxes[0][1], boxes[0][2], boxes[0][3]) if boxes else None
    largest = max(float(face["largest"]) for face in faces)
    found = sum(int(face.get("found in", frames)) for face in faces)
    doubtful = found < _OFTEN and found < _SELDOM * frames / EVERY
    return Candidate(person.number, person.name, frames, largest, box, like.get(person.number), doubtful)
