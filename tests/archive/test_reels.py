"""What a batch works on: folders, globs, names, and what cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore.archive.reels import Reel, checked, output_name, reels_in, reels_of
from restore.errors import OptionError, SourceError, SourceNotFoundError

ODD = ["a b.mkv", 'o\'clock "7".mp4', "新年\n第二行.mov", "-x.avi", "%d.mkv", "[1].mkv"]


def fill(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_the_tree_is_mirrored_and_sorted(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    fill(source, *ODD, "sub/deep/reel.MOV", "notes.txt", ".hidden.mkv", "x.mkv.part", "job.mkv.restore/a.mkv")
    reels = list(reels_in(source, out, "{stem}.mkv"))
    assert [reel.source for reel in reels] == sorted(reel.source for reel in reels)
    made = {str(reel.output.relative_to(out)) for reel in reels}
    assert made == {f"{Path(name).stem}.mkv" for name in ODD} | {"sub/deep/reel.mkv"}


def test_patterns_take_what_they_name(tmp_path: Path) -> None:
    fill(tmp_path, "a.mkv", "b.xyz", "c.MOV")
    assert [Path(r.source).name for r in reels_in(tmp_path, tmp_path / "o", "{name}", ["*.xyz", "a*"])] == [
        "a.mkv", "b.xyz",
    ]  # fmt: skip


def test_circles_of_links_are_walked_once(tmp_path: Path) -> None:
    fill(tmp_path, "a/reel.mkv")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    unreadable: list[str] = []
    assert [Path(r.source).name for r in reels_in(tmp_path, tmp_path / "o", "{name}", (), unreadable)] == ["reel.mkv"]
    assert all("self" in line for line in unreadable)


def test_pipes_are_named_and_links_to_nowhere_are_reels_that_will_fail(tmp_path: Path) -> None:
    fill(tmp_path, "a.mkv")
    os.mkfifo(tmp_path / "b.mkv")
    (tmp_path / "c.mkv").symlink_to("/nowhere/at all.mkv")
    unreadable: list[str] = []
    found = reels_in(tmp_path, tmp_path / "o", "{name}", (), unreadable)
    assert [Path(reel.source).name for reel in found] == ["a.mkv", "c.mkv"]
    assert [line.endswith("b.mkv: is no file") for line in unreadable] == [True]


def test_outputs_inside_the_sources_are_not_sources(tmp_path: Path) -> None:
    fill(tmp_path, "a.mkv", "out/a.mkv")
    assert len(list(reels_in(tmp_path, tmp_path / "out", "{name}"))) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "a.mkv", "locked/b.mkv")
    (tmp_path / "locked").chmod(0)
    unreadable: list[str] = []
    assert len(list(reels_in(tmp_path, tmp_path / "o", "{name}", (), unreadable))) == 1
    assert "locked" in unreadable[0]
    (tmp_path / "locked").chmod(0o755)


def test_globs_mirror_below_their_fixed_part(tmp_path: Path) -> None:
    fill(tmp_path, "in/a/1.mkv", "in/b/2.mkv", "in/b/2.txt")
    reels = list(reels_of(str(tmp_path / "in" / "**" / "*.mkv"), tmp_path / "out", "{name}"))
    assert [str(r.output.relative_to(tmp_path / "out")) for r in reels] == ["a/1.mkv", "b/2.mkv"]
    with pytest.raises(SourceNotFoundError, match="no file is called so"):
        list(reels_of(str(tmp_path / "*.mov"), tmp_path, "{name}"))


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no film"):
        checked(reels_in(tmp_path, tmp_path / "o", "{name}"), "here")
    with pytest.raises(SourceNotFoundError, match="no such folder"):
        list(reels_in(tmp_path / "none", tmp_path, "{name}"))
    fill(tmp_path, "a.mov", "a.mkv")
    with pytest.raises(OptionError, match=r"a\.mkv and .*a\.mov would both become"):
        checked(reels_in(tmp_path, tmp_path / "o", "{stem}.mp4"), "here")
    with pytest.raises(OptionError, match="write over a source"):
        checked([Reel(str(tmp_path / "a.mov"), tmp_path / "a.mov")], "here")


@pytest.mark.parametrize("pattern", ["{nothing}", "{stem", "{}", "{stem}/x", "", "..", "{stem.__class__}", "{0}"])
def test_names_that_cannot_be(pattern: str) -> None:
    with pytest.raises(OptionError, match="--name"):
        output_name(pattern, Path("reel.mkv"), 1)


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_any_name_survives(name: str) -> None:
    if name not in (".", ".."):
        assert output_name("{name}", Path("folder") / name, 1) == name


def test_fields() -> None:
    assert output_name("{number:04d}_{folder}_{stem}{suffix}", Path("reels/one.mov"), 7) == "0007_reels_one.mov"
