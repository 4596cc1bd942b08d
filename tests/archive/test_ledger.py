"""What was done is known again, by content in the end, and a crash loses at most the line being written."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from restore.archive.ledger import FileFacts, Ledger, Outcome, sha256_of
from restore.archive.reels import Reel
from restore.archive.watch import Steady
from restore.errors import PlanError, SourceError


@pytest.fixture
def done(tmp_path: Path) -> Outcome:
    source, output = tmp_path / "a.mov", tmp_path / "a.mkv"
    source.write_bytes(b"source")
    output.write_bytes(b"output")
    return Outcome(
        str(source), str(output), "done", "key", FileFacts.of(str(source)).hashed(str(source)),
        FileFacts.of(str(output)).hashed(str(output)),
    )  # fmt: skip


def settled(ledger: Ledger, done: Outcome, key: str = "key", verify: bool = False) -> bool:
    return ledger.settled(done.source, Path(done.output), key, verify=verify) is not None


def test_a_ledger_remembers(tmp_path: Path, done: Outcome) -> None:
    Ledger(tmp_path / "l").add(done)
    again = Ledger(tmp_path / "l")
    assert again.outcomes == {done.source: done}
    assert settled(again, done)
    assert not settled(again, done, key="another recipe")


def test_time_alone_changes_nothing_content_does(tmp_path: Path, done: Outcome) -> None:
    ledger = Ledger(tmp_path / "l")
    ledger.add(done)
    os.utime(done.source, (1, 1))
    assert settled(ledger, done)
    assert Ledger(tmp_path / "l").outcomes[done.source].facts == FileFacts.of(done.source).hashed(done.source)
    stat = os.stat(done.source)
    Path(done.source).write_bytes(b"sOurce")
    os.utime(done.source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert settled(ledger, done), "size, time and inode are trusted"
    assert not settled(ledger, done, verify=True)
    Path(done.source).write_bytes(b"longer source")
    assert not settled(ledger, done)
    os.unlink(done.source)
    assert not settled(ledger, done)


def test_a_copy_of_the_source_is_the_same(tmp_path: Path, done: Outcome) -> None:
    ledger = Ledger(tmp_path / "l")
    ledger.add(done)
    shutil.copyfile(done.source, tmp_path / "copy")
    os.replace(tmp_path / "copy", done.source)
    assert settled(ledger, done)


def test_an_output_touched_or_gone_is_made_anew(tmp_path: Path, done: Outcome) -> None:
    ledger = Ledger(tmp_path / "l")
    ledger.add(done)
    stat = os.stat(done.output)
    Path(done.output).write_bytes(b"0utput")
    os.utime(done.output, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert settled(ledger, done)
    assert not settled(ledger, done, verify=True)
    os.unlink(done.output)
    assert not settled(ledger, done)


def test_a_line_cut_short_is_forgotten_and_any_other_is_not(tmp_path: Path, done: Outcome) -> None:
    path = tmp_path / "l"
    Ledger(path).add(done)
    whole = path.read_text()
    path.write_text(whole + replace(done, source="b").line()[:40])
    assert set(Ledger(path).outcomes) == {done.source}
    Ledger(path).add(replace(done, source="c"))
    assert set(Ledger(path).outcomes) == {done.source, "c"}
    path.write_text("nonsense\n" + whole)
    with pytest.raises(PlanError, match="line 1"):
        Ledger(path)


def test_a_long_ledger_is_made_short_when_opened(tmp_path: Path, done: Outcome) -> None:
    path = tmp_path / "l"
    ledger = Ledger(path)
    for number in range(150):
        ledger.add(replace(done, frames=number))
    assert Ledger(path).outcomes[done.source].frames == 149
    assert len(path.read_text().splitlines()) == 1


def test_a_folder_of_pictures_has_one_hash(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    for number in range(3):
        (folder / f"s_{number:03d}.png").write_bytes(bytes([number]))
    before = sha256_of(str(folder))
    assert sha256_of(str(folder / "s_%03d.png")) == before
    (folder / "s_001.png").write_bytes(b"9")
    assert sha256_of(str(folder)) != before


def test_a_growing_file_is_waited_for(tmp_path: Path) -> None:
    old, new = Reel(str(tmp_path / "old"), tmp_path / "o"), Reel(str(tmp_path / "new"), tmp_path / "n")
    Path(old.source).write_bytes(b"x")
    steady = Steady([old])
    Path(new.source).write_bytes(b"x")
    assert steady.ready(lambda: [old, new]) == []
    Path(new.source).write_bytes(b"xx")
    assert steady.ready(lambda: [old, new]) == []
    assert steady.ready(lambda: [old, new]) == [new]
    assert steady.ready(lambda: [old, new]) == []

    def empty() -> list[Reel]:
        raise SourceError("empty")

    assert steady.ready(empty) == []
