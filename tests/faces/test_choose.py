"""Whose face is meant: numbers, names, places, photographs, and everything that is said wrongly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from material.faces import still

from restore.errors import OptionError, SourceError
from restore.faces.choose import Candidate, choose, likeness_to, portrayed
from restore.faces.haar import HaarDetector
from restore.faces.wanted import Place, Wanted

ANN = Candidate(1, "Ann", 500, 180.0, box=(100.0, 80.0, 60.0, 60.0))
BEN = Candidate(2, "Ben", 300, 90.0, box=(300.0, 90.0, 50.0, 60.0))
CROWD = Candidate(4, "person 4", 20, 20.0)
PEOPLE = (ANN, BEN, CROWD)


def said(actor: str | None = None, at: str | None = None) -> Wanted:
    return Wanted.parse(actor, at)


@pytest.mark.parametrize(
    ("actor", "at", "numbers"),
    [
        ("2", None, (2,)),
        ("ann", None, (1,)),
        ("2, Ann", None, (2, 1)),
        ("2,2", None, (2,)),
        (None, "0:05@130,110", (1,)),
        (None, "120f@347.5,100", (2,)),
    ],
)
def test_people_are_found_by_number_name_and_place(actor: str | None, at: str | None, numbers: tuple[int, ...]) -> None:
    assert choose(said(actor, at), PEOPLE) == numbers


def test_nobody_need_be_named_where_there_is_one() -> None:
    assert choose(said(), [BEN]) == (2,)


@pytest.mark.parametrize(
    ("wanted", "people", "words"),
    [
        (said(), PEOPLE, r"3 people: 1 \(500 frames\), 2 \(300 frames\).*--actor NUMBER"),
        (said("7"), PEOPLE, r"no such person; there are 1 \(500"),
        (said("Anne"), PEOPLE, "did you mean Ann"),
        (said("Zoe"), PEOPLE, "there are Ann, Ben, person 4"),
        (said("Ann"), (ANN, Candidate(3, "ann", 9, 50.0)), "1 and 3 are both called that"),
        (said(at="1@200,110"), PEOPLE, "no face is there; in that frame there is Ann at 130,110 and Ben at 325,120"),
        (said(at="1@5,5"), [CROWD, Candidate(5, "x", 9, 40.0)], "none that was found"),
        (said(at="1@130,110"), (ANN, Candidate(3, "Twin", 9, 50.0, (104, 80, 60, 60))), "Ann and Twin are equally"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_said(wanted: Wanted, people: tuple[Candidate, ...], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        choose(wanted, people)


def test_small_faces_and_no_faces_are_refused() -> None:
    with pytest.raises(SourceError, match="no face was found"):
        choose(said("1"), [])
    with pytest.raises(SourceError, match=r"only faces under 32 pixels \(the largest is 20"):
        choose(said("4"), [CROWD])
    with pytest.raises(SourceError, match="person 4: is never wider than 20 pixels"):
        choose(said("4"), PEOPLE)


def test_a_photograph_decides_by_likeness(tmp_path: Path) -> None:
    photo = tmp_path / "ann.jpg"
    photo.touch()
    wanted = said(str(photo))

    def like(*of: float) -> list[Candidate]:
        return [Candidate(n, f"person {n}", 100, 90.0, likeness=value) for n, value in enumerate(of, 1)]

    assert choose(wanted, like(0.4, 1.7, 1.1)) == (2,)
    with pytest.raises(OptionError, match=r"nobody in the film looks like that; the nearest is person 2, with 90 %"):
        choose(wanted, like(0.2, 0.9))
    with pytest.raises(OptionError, match="person 3 and person 1 look equally like that"):
        choose(wanted, like(1.50, 0.2, 1.52))


def test_what_is_written_wrongly_is_refused(tmp_path: Path) -> None:
    for at in ("640,220", "0:05@640", "0:05@x,y", "@1,2", "soon@1,2"):
        with pytest.raises(OptionError):
            said(at=at)
    with pytest.raises(OptionError, match="not both"):
        said("2", "0:05@640,220")
    with pytest.raises(OptionError, match="no such picture"):
        said(str(tmp_path / "nobody.jpg")).check()
    with pytest.raises(OptionError, match="number or name"):
        said("2,,3")
    assert said(at=" 00:00:05@640,220").place == Place("00:00:05", 640, 220)


def test_the_face_of_a_photograph() -> None:
    detector = HaarDetector()
    two = still([(80, 110, 110), (240, 120, 50)])
    assert abs(portrayed(two, "two.png", detector).box[2] - 120) < 40
    with pytest.raises(OptionError, match="no face was found in it"):
        portrayed(still([]), "none.png", detector)
    with pytest.raises(OptionError, match="shows 2 faces"):
        portrayed(still([(90, 110, 76), (230, 120, 76)]), "pair.png", detector)


def test_likeness_is_one_where_two_faces_are_taken_for_one_persons() -> None:
    class Embedder:
        name, alike = "angles", 0.5

        def embed(self, picture: object, points: object) -> np.ndarray:
            raise NotImplementedError

    east = np.array((1.0, 0.0))
    at_sixty = np.array((0.5, np.sqrt(0.75)))
    assert likeness_to(east, [at_sixty], Embedder()) == pytest.approx(1.0)
    assert likeness_to(east, [at_sixty, at_sixty * (1, -1)], Embedder()) == pytest.approx(2.0)
    assert likeness_to(east, [-east], Embedder()) == 0
    assert likeness_to(east, [], Embedder()) == 0


def test_what_is_seldom_taken_for_a_face_is_meant_only_if_somebody_says_so() -> None:
    bird, ann = Candidate(1, "Person 1", 40, 90.0, doubtful=True), Candidate(2, "Person 2", 40, 90.0)
    anyone, first = Wanted.parse(None, None), Wanted.parse("1", None)
    assert choose(anyone, [bird, ann]) == (2,)
    assert choose(first, [bird]) == (1,)
    with pytest.raises(OptionError, match="seldom taken for a face"):
        choose(anyone, [bird])
