"""Who is who: tracks grouped to people by how alike their faces are, and by what a person says in the edits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from restore.errors import PlanError, WeightsError
from restore.faces.detect import Picture, said_by

Array = npt.NDArray[np.float64]

_SIDE = 112
_ARCFACE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""(5, 2): where ArcFace and SFace want the points in their 112 pixels (J. Deng et al., "ArcFace", CVPR 2019)."""


class Embedder(Protocol):
    """Turns a face into a direction: the same person's lie close together."""

    name: str
    alike: float
    """Cosine from which two faces are one person's."""

    def embed(self, picture: Picture, points: Array) -> Array:
        """(D,) of unit length, of the face with these (5, 2) points in an (H, W, 3) picture."""
        ...


def aligned(picture: Picture, points: Array) -> Picture:
    """(112, 112, 3): a face upright, its points where embeddings want them (least squares similarity)."""
    matrix, _ = cv2.estimateAffinePartial2D(points.astype(np.float32), _ARCFACE.astype(np.float32), method=cv2.LMEDS)
    if matrix is None:
        matrix = np.array([(1.0, 0, -points[0, 0]), (0, 1.0, -points[0, 1])])
    return np.asarray(cv2.warpAffine(picture, matrix, (_SIDE, _SIDE), flags=cv2.INTER_AREA), np.uint8)


class SFaceEmbedder:
    """SFace through OpenCV: Y. Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss", TIP 2021."""

    name = "sface"
    alike = 0.363
    """As published with the network."""

    def __init__(self, weights: Path) -> None:
        try:
            self._net: Any = cv2.FaceRecognizerSF.create(str(weights), "")
        except cv2.error as error:
            raise WeightsError(f"{weights}: OpenCV cannot use it as an SFace network ({said_by(error)})") from None

    def embed(self, picture: Picture, points: Array) -> Array:
        """See `Embedder.embed`."""
        found = self._net.feature(np.ascontiguousarray(aligned(picture, points)[..., ::-1]))
        vector = np.asarray(found, np.float64).reshape(-1)
        return np.asarray(vector / max(1e-12, float(np.linalg.norm(vector))))


def embedder_name() -> str | None:
    """What tells faces apart on this machine: ``sface`` if its weights are here, else nothing."""
    from restore import zoo

    return None if zoo.resolve("sface").path is None else "sface"


def choose_embedder() -> Embedder | None:
    """What `embedder_name` names, loaded; nothing is fetched."""
    from restore import zoo

    name = embedder_name()
    return None if name is None else SFaceEmbedder(zoo.weights_file(name, download=False)[0])


def group(spans: Sequence[tuple[int, int]], vectors: Sequence[Array | None], alike: float) -> list[int]:
    """A person's number for each track, from 1, by how long each is to be seen.

    Tracks are joined in the order of their likeness, as long as all of the two groups are alike on average. Two that
    are in one frame are two people. One without a vector stays by itself.

    Args:
        spans: first frame and the frame after the last of each track.
        vectors: of unit length each.
        alike: least mean cosine of two groups.
    """
    groups = [{number} for number in range(len(spans))]

    def together(one: set[int], other: set[int]) -> float:
        if any(spans[a][0] < spans[b][1] and spans[b][0] < spans[a][1] for a in one for b in other):
            return -1.0
        pairs = [(vectors[a], vectors[b]) for a in one for b in other]
        return float(np.mean([-1.0 if a is None or b is None else float(a @ b) for a, b in pairs]))

    while True:
        best = max(
            ((together(one, other), n, m) for n, one in enumerate(groups) for m, other in enumerate(groups[:n])),
            default=(-1.0, 0, 0),
        )
        if best[0] < alike:
            break
        groups[best[2]] |= groups.pop(best[1])
    groups.sort(key=lambda members: (-sum(spans[n][1] - spans[n][0] for n in members), min(members)))
    numbers = {member: place for place, members in enumerate(groups, 1) for member in members}
    return [numbers[number] for number in range(len(spans))]


@dataclass(frozen=True)
class Said:
    """What a person says of one track, or of one person and all their tracks."""

    track: int | None = None
    person: int | None = None
    same_as: int | None = None
    """The person who this really is."""
    name: str | None = None
    drop: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody, as found and as corrected."""

    number: int
    name: str
    tracks: tuple[int, ...]
    """Numbers of tracks."""


def cast(found: dict[int, int], said: Iterable[Said]) -> list[Person]:
    """The people of a film: `found` numbers by track, and what was said of them, in that order.

    Numbers stay what they were when others are merged or dropped. Raises PlanError for tracks and people that are not
    there.
    """
    people, names = dict(found), dict[int, str]()
    known = set(found.values())
    for change in said:
        if change.track is not None and change.track not in found:
            raise PlanError(f"edits.json: people: there is no track {change.track}; there are 1 to {len(found)}")
        if change.person is not None and change.person not in known:
            raise PlanError(f"edits.json: people: there is no person {change.person}; there are {_listed(known)}")
        meant = [t for t, p in people.items() if change.track == t or (change.track is None and change.person == p)]
        for track in meant:
            if change.drop:
                del people[track]
            elif change.same_as is not None:
                people[track] = change.same_as
        if change.same_as is not None:
            known.add(change.same_as)
        if change.name is not None:
            names[change.same_as or change.person or 0] = change.name
    return [
        Person(number, names.get(number, f"person {number}"), tuple(t for t, p in people.items() if p == number))
        for number in sorted(set(people.values()))
    ]


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
