"""Manifests: CSV and TOML, and the line and column of what is wrong in them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restore.archive.manifest import load_manifest
from restore.archive.reels import Reel
from restore.errors import OptionError, SourceNotFoundError


def load(folder: Path, text: str, name: str = "reels.csv") -> list[Reel]:
    (folder / name).write_text(text, encoding="utf-8")
    return list(load_manifest(folder / name, folder / "out", "{stem}.mkv"))


def test_csv(tmp_path: Path) -> None:
    one, two = load(tmp_path, "source,output,recipe,upscale.scale\nreel 1.mov,sub/one.mkv,a.toml,3\n/abs/two.mov,,,\n")
    assert (one.source, one.output) == (str(tmp_path / "reel 1.mov"), tmp_path / "out" / "sub" / "one.mkv")
    assert one.recipe == str(tmp_path / "a.toml")
    assert one.settings == {"upscale.scale": "3"}
    assert one.place == "reels.csv line 2"
    assert (two.source, two.output) == ("/abs/two.mov", tmp_path / "out" / "two.mkv")
    assert (two.recipe, two.settings) == (None, {})


def test_toml(tmp_path: Path) -> None:
    text = '[[reel]]\nsource = "a.mov"\nset = { "upscale.scale" = 2 }\n\n[[reel]]\nsource = "b.mov"\noutput = "c.mp4"\n'
    one, two = load(tmp_path, text, "reels.toml")
    assert one.settings == {"upscale.scale": 2}
    assert two.output == tmp_path / "out" / "c.mp4"
    assert two.place == "reels.toml line 5"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("r.csv", "", "line 1, column 1: the heading"),
        ("r.csv", "file\na\n", "line 1, column 1: the heading"),
        ("r.csv", "source,scale\na,2\n", "line 1, column 2: 'scale'"),
        ("r.csv", "source,source\n", "line 1, column 2: 'source' is there twice"),
        ("r.csv", "source,output\na.mov,b,c\n", "line 2, column 3: 3 cells"),
        ("r.csv", "source,output\n\na.mov\n", "line 3, column 2: 1 cells"),
        ("r.csv", 'source\n"a.mov\n', "line 2"),
        ("r.csv", "output,source\nb.mkv,\n", "line 2, column 2: no source"),
        ("r.toml", "[[reel]\n", "line 1, column 7"),
        ("r.toml", "[reel]\nsource = 'a'\n", "line 1, column 1"),
        ("r.toml", "[[reel]]\nsource = 'a'\n[[reel]]\nfile = 'b'\n", "line 3, column 1: .*'file'"),
        ("r.toml", "[[reel]]\noutput = 'a'\n", "line 1, column 1: no source"),
        ("r.toml", "[[reel]]\nsource = 3\n", "source must be text"),
        ("r.toml", "[[reel]]\nsource = 'a'\nset = { scale = 2 }\n", "set is a table"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        load(tmp_path, text, name)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        list(load_manifest(tmp_path / "none.csv", tmp_path, "{name}"))
    (tmp_path / "latin.csv").write_bytes(b"source\nr\xe9el.mov\n")
    with pytest.raises(OptionError, match="cannot be read"):
        list(load_manifest(tmp_path / "latin.csv", tmp_path, "{name}"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(st.text(st.characters(exclude_characters="/\0\r", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name.strip() and name.strip(".")), min_size=1, max_size=5))  # fmt: skip
def test_any_file_name_can_be_listed(tmp_path: Path, names: list[str]) -> None:
    with (tmp_path / "r.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["source"], *([name] for name in names)])
    found = list(load_manifest(tmp_path / "r.csv", tmp_path / "out", "{name}"))
    assert [Path(reel.source).name for reel in found] == names
