"""`restore versions` and `restore reage` on a film with two faces: whose, sweeps, choices, passes, bad input."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from films import decode
from material.faces import still
from PIL import Image

from restore.cli.main import main
from restore.cli.versions import several
from restore.errors import OptionError
from restore.media.pictures import read_picture
from restore.recipe import Recipe
from restore.stages.reage.ages import Keyed
from restore.versions import grid

FRAMES = 8
CLAIM = ["--test-material", "drawn by this test"]
FACES = [*CLAIM, "--detector", "haar", "--from", "45"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, the larger face on the left."""
    path = tmp_path_factory.mktemp("two") / "two.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv444p"
        stream.time_base = Fraction(1, 25)
        for n in range(FRAMES):
            picture = still([(95, 118, 92), (240, 120, 70)], n)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def job(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four versions of the left face."""
    folder = tmp_path_factory.mktemp("job") / "two.restore"
    asked = ["--at", "0:00.2@95,118", "--to", "25,75", "--strength", "0.5,1", "--frames", "2", "--seconds", "0.12"]
    assert main(["versions", str(film), *FACES, *asked, "--work-dir", str(folder), "-q"]) == 0
    return folder


def test_a_sweep_is_numbered_and_shown(job: Path, film: Path) -> None:
    kept = json.loads((job / "versions.json").read_text())
    told = [(v["number"], v["label"]) for v in kept["versions"]]
    assert told == [
        (1, "to 25, strength 0.5"), (2, "to 25, strength 1"), (3, "to 75, strength 0.5"), (4, "to 75, strength 1"),
    ]  # fmt: skip
    assert kept["source"] == str(film)
    assert all(v["options"]["test_material"] == CLAIM[1] for v in kept["versions"])
    with Image.open(job / "versions" / "001-004.png") as sheet:
        assert sheet.size[0] > 2 * 320
        assert sheet.size[1] > 5 * 320
    assert len(decode(job / "versions" / "004.mp4")) == len(decode(job / "versions" / "source.mp4")) == 6
    assert not list(job.parent.glob("*.mkv*"))


def test_numbers_go_on_and_settings_keep_theirs(job: Path, film: Path) -> None:
    asked = ["--at", "0:00.2@95,118", "--to", "75", "--to", "0:00=25,0:00.3=75", "--frames", "1", "--strength", "1"]
    assert main(["versions", str(film), *FACES, *asked, "--work-dir", str(job), "--json"]) == 0
    kept = json.loads((job / "versions.json").read_text())["versions"]
    assert [v["number"] for v in kept] == [1, 2, 3, 4, 5]
    assert kept[4]["options"]["to"] == "0:00=25,0:00.3=75"
    assert (job / "versions" / "004-005.png").exists()


def test_a_version_is_picked_and_rendered(job: Path, film: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "chosen.toml"
    assert main(["versions", "pick", "3", "--work-dir", str(job), "-o", str(recipe)]) == 0
    [(name, options)] = Recipe.load(recipe).stages
    assert (name, options.model_dump()["to"], options.model_dump()["strength"]) == ("reage", "75", "0.5")
    assert json.loads((job / "versions.json").read_text())["picked"] == 3
    assert main(["versions", "pick", "3", "--work-dir", str(job), "-o", str(recipe)]) == 1  # not replaced unasked
    assert main(["versions", "pick", "99", "--work-dir", str(job)]) == 2
    assert main(["versions", "pick", "1", str(tmp_path / "none.mkv")]) == 1

    output = tmp_path / "out.mkv"
    (tmp_path / "two.mkv").write_bytes(film.read_bytes())
    (tmp_path / "two.mkv.restore").mkdir()
    (tmp_path / "two.mkv.restore" / "versions.json").write_bytes((job / "versions.json").read_bytes())
    line = ["reage", str(tmp_path / "two.mkv"), str(output), "--version", "3", "--strength", "0.9", "--no-report", "-q"]
    assert main(line) == 0
    record = json.loads((tmp_path / "out.mkv.restore" / "job.json").read_text())
    [stage] = record["recipe"]["stage"]
    assert (stage["to"], stage["strength"], stage["at"]) == ("75", "0.9", "0:00.2@95,118")
    assert record["consent"] == [
        {"stage": "reage", "use": "face", "basis": "test_material", "reason": "drawn by this test"}
    ]


def test_passes_make_up_the_picture_and_only_one_person_is_in_them(film: Path, tmp_path: Path) -> None:
    output, passes = tmp_path / "out.mkv", tmp_path / "passes"
    asked = ["--actor", "1", "--to", "80", "--passes", str(passes), "--codec", "ffv1", "--no-report", "-q"]
    assert main(["reage", str(film), str(output), *FACES, *asked]) == 0
    before, after = decode(film), decode(output)
    changed = 0.0
    for n in range(FRAMES):
        delta, matte, mask = (
            np.stack(read_picture(passes / name / f"{name}.{n + 1:06d}.exr").planes)
            for name in ("delta", "matte", "mask")
        )
        assert set(np.unique(mask)) <= {0.0, 1.0}
        assert np.abs(delta[:, mask[0] == 0]).max() == 0
        assert mask[:, :, 190:].max() == 0, "somebody else's face is touched"
        assert matte[:, :, 225:].max() == 0
        assert 0 <= matte.min() <= matte.max() <= 1
        assert matte[:, mask[0] == 1].min() > 0
        green, blue, red = delta
        luma = 219 * (0.299 * red + 0.587 * green + 0.114 * blue)
        off = after[n].planes[0].astype(float) - before[n].planes[0].astype(float)
        assert np.array_equal(off[:, 190:], np.zeros_like(off[:, 190:]))
        assert (
            min(np.abs(off - luma).mean(), np.abs(off - 219 * (0.2126 * red + 0.7152 * green + 0.0722 * blue)).mean())
            < 0.3
        )
        changed += float(np.abs(off).mean())
    assert changed > 0.1
    tracks = json.loads((passes / "tracks.json").read_text())
    assert tracks["size"] == [320, 240]
    [track] = tracks["tracks"]
    assert [row[0] for row in track["rows"]] == list(range(FRAMES))
    assert abs(np.mean([row[6][2][0] for row in track["rows"]]) - 95) < 15


def test_passes_as_films(film: Path, tmp_path: Path) -> None:
    passes = tmp_path / "passes"
    asked = ["--actor", "1", "--to", "80", "--end", "3f", "--passes", str(passes), "--passes-as", "prores"]
    assert main(["reage", str(film), str(tmp_path / "out.mkv"), *FACES, *asked, "--no-report", "-q"]) == 0
    frames = decode(passes / "delta.mov")
    assert len(frames) == 3
    assert abs(float(np.median(frames[0].planes[0])) / 4095 - (16 + 219 * 0.5) / 255) < 0.01  # nothing is middle grey
    assert (passes / "matte.mov").exists()
    assert (passes / "mask.mov").exists()


def test_who_is_who_is_taken_over_from_restore_faces(film: Path, tmp_path: Path) -> None:
    source = tmp_path / "two.mkv"
    source.write_bytes(film.read_bytes())
    (tmp_path / "two.mkv.restore").mkdir()
    people = {"people": [{"person": 2, "name": "Ben"}, {"person": 1, "drop": True}]}
    (tmp_path / "two.mkv.restore" / "edits.json").write_text(json.dumps(people))
    asked = ["--actor", "ben", "--to", "30", "--end", "2f", "--codec", "ffv1", "--no-report", "-q"]
    assert main(["reage", str(source), str(tmp_path / "out.mkv"), *FACES, *asked]) == 0
    off = [
        a.planes[0].astype(int) - b.planes[0]
        for a, b in zip(decode(tmp_path / "out.mkv"), decode(source), strict=False)
    ]
    assert np.abs(off[0][:, 170:]).max() > 0
    assert np.abs(off[0][:, :150]).max() == 0


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--to", "30"], 2, "consent record"),
        (["--to", "30", *FACES], 2, "2 people: 1 (8 frames), 2 (8 frames)"),
        (["--to", "30", *FACES, "--actor", "9"], 2, "no such person"),
        (["--to", "30", *FACES, "--actor", "nobody.jpg"], 2, "no such picture"),
        (["--to", "30", *FACES, "--at", "0:00@5,5"], 2, "no face is there"),
        (["--to", "30", *FACES, "--at", "nowhere"], 2, "TIME@X,Y"),
        (["--to", "121", *FACES, "--actor", "1"], 2, "between 0 and 120"),
        (["--to", "0:02=30,0:01=60", *FACES, "--actor", "1"], 2, "order of their times"),
        (["--to", "30", *FACES, "--actor", "1", "--version", "4"], 1, "no versions yet"),
    ],
)
def test_bad_input_leaves_nothing_half_made(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, says: str
) -> None:
    output = tmp_path / "out.mkv"
    assert main(["reage", str(film), str(output), *words, "-q"]) == status
    assert says in capsys.readouterr().err
    assert not output.exists()
    assert not list(tmp_path.glob("*.part"))


def test_several_values_are_told_from_keyframes() -> None:
    assert several(("25, 30", "0:00=30,0:02=60")) == ["25", "30", "0:00=30,0:02=60"]
    shared = {"test_material": "numbers only"}
    made = grid(shared, {"to": ["25", "30"], "strength": ["0.5", "1"]})
    assert [(one["to"], one["strength"]) for one in made] == [("25", "0.5"), ("25", "1"), ("30", "0.5"), ("30", "1")]
    assert grid(shared, {}) == [shared]
    with pytest.raises(OptionError, match="121"):
        grid(shared, {"to": ["25", "121"]})
    with pytest.raises(OptionError, match="110 versions"):
        grid(shared, {"to": [str(n) for n in range(110)]})


def test_ages_between_keyframes_lie_on_a_line() -> None:
    keyed = Keyed.parse("00:00:00=30,00:02:00=60", 0, 120, "an age")
    assert [keyed.at(seconds, Fraction(24)) for seconds in (-1, 0, 30, 60, 120, 500)] == [30, 30, 37.5, 45, 60, 60]
