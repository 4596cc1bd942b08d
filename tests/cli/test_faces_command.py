"""`restore faces` on a film with a face and a cut: tracks, sheet, edits, errors."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from material.faces import still

from restore.errors import PlanError, SourceError
from restore.people import find_people


def write(path: Path, pictures: list) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.time_base = Fraction(1, 25)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    first = [still([(100 + n, 118, 84)], n, 60) for n in range(15)]
    second = [still([(220, 118, 84)], n, 230) for n in range(15)]
    return write(tmp_path_factory.mktemp("film") / "two.mkv", first + second)


def test_tracks_end_at_the_cut_and_edits_merge_them(film: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    found = find_people(film, job, detector="haar")
    assert sorted((track.start, track.stop) for track in found.tracks.values()) == [(0, 15), (15, 30)]
    assert [person.number for person in found.people] == [1, 2]
    assert found.sheet.read_bytes().startswith(b"\x89PNG")
    assert "person 2" in found.page.read_text()
    listed = (job / "plan" / "faces.json").stat().st_mtime_ns

    edits = {"people": [{"person": 2, "is": 1}, {"person": 1, "name": "Ann <A>"}]}
    (job / "edits.json").write_text(json.dumps(edits))
    again = find_people(film, job, detector="haar")
    assert [(person.name, len(person.tracks)) for person in again.people] == [("Ann <A>", 2)]
    assert "Ann &lt;A&gt;" in again.page.read_text()
    assert (job / "plan" / "faces.json").stat().st_mtime_ns == listed  # not looked for again
    assert np.allclose(again.tracks[1].points, found.tracks[1].points, atol=1e-3)

    (job / "edits.json").write_text(json.dumps({"people": [{"person": 7, "drop": True}]}))
    with pytest.raises(PlanError, match="no person 7"):
        find_people(film, job, detector="haar")


def test_no_face_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    film = write(tmp_path / "empty.mkv", [still([], n) for n in range(6)])
    with pytest.raises(SourceError, match="no face was found"):
        find_people(film, tmp_path / "job", detector="haar")
    assert not (tmp_path / "job" / "faces.png").exists()
    assert not (tmp_path / "job" / "plan" / "faces.json").exists()


def test_tiny_faces_are_too_small(tmp_path: Path) -> None:
    film = write(tmp_path / "tiny.mkv", [still([(160, 120, 22)], n) for n in range(9)])
    with pytest.raises(SourceError, match=r"under 32 pixels|no face"):
        find_people(film, tmp_path / "job", detector="haar")
