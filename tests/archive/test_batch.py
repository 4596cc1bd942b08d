"""Batches with real films and real child processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from films import FilmSpec, write_film

from restore.archive.batch import FOLDER
from restore.cli.main import main

_ROOM = 3000
"""Bytes."""
RECIPE = '[[stage]]\nname = "deflicker"\n'


@pytest.fixture
def reels(tmp_path: Path) -> Path:
    """Four films, one of them broken, one no film at all; and a recipe."""
    folder = tmp_path / "in"
    (folder / "sub 'x'").mkdir(parents=True)
    write_film(folder / "one.mkv", FilmSpec(codec="ffv1", frames=5))
    shutil.copy(folder / "one.mkv", folder / "sub 'x'" / 'zwei\n "二.mkv')
    (folder / "cut.mkv").write_bytes((folder / "one.mkv").read_bytes()[:900])
    (folder / "text.mkv").write_text("no film")
    (tmp_path / "r.toml").write_text(RECIPE)
    return folder


def batch(reels: Path, *more: str, recipe: bool = True) -> int:
    base = reels.parent
    words = ["batch", str(reels), str(base / "out"), *more, "--device", "cpu", "--no-report"]
    return main([*words, *(["--recipe", str(base / "r.toml")] if recipe else [])])


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_good_reels_are_restored_bad_ones_named_and_nothing_is_done_twice(
    reels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = reels.parent / "out"
    assert batch(reels, "--json") == 3
    first = events(capsys.readouterr().out)
    assert first[-1]["done"] == 2
    assert sorted(Path(name).name for name in first[-1]["failed"]) == ["cut.mkv", "text.mkv"]
    errors = {Path(e["source"]).name: e["error"] for e in first if e["event"] == "failed"}
    assert all(str(reels / name) in error for name, error in errors.items())
    assert (out / "sub 'x'" / 'zwei\n "二.mkv').exists()
    assert not (out / "cut.mkv").exists()
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}

    begun = time.monotonic()
    assert batch(reels, "--json") == 3
    assert time.monotonic() - begun < 3
    second = events(capsys.readouterr().out)
    assert (second[-1]["done"], second[-1]["unchanged"], len(second[-1]["failed"])) == (0, 2, 2)
    assert not [e for e in second if e["event"] == "reel"]
    assert stamps == {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}

    # A failed reel mended, a done one replaced by another: both are done, nothing else is.
    write_film(reels / "cut.mkv", FilmSpec(codec="ffv1", frames=4))
    write_film(reels / "one.mkv", FilmSpec(codec="ffv1", frames=3))
    assert batch(reels, "--json") == 3
    third = events(capsys.readouterr().out)
    assert {Path(e["source"]).name: e["frames"] for e in third if e["event"] == "done"} == {"cut.mkv": 4, "one.mkv": 3}

    assert batch(reels, "--json", "--retry-failed") == 3
    fourth = events(capsys.readouterr().out)
    assert [Path(e["source"]).name for e in fourth if e["event"] == "reel"] == ["text.mkv"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_what_cannot_be_read_is_named(reels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rights do not stop root; the disk's own errors stop everybody."""
    for name in ("cut.mkv", "text.mkv", "one.mkv"):
        (reels / name).unlink()
    (reels / "io.mkv").symlink_to("/proc/self/mem")
    (reels / "gone.mkv").symlink_to("/nowhere.mkv")
    (reels / "up").symlink_to(reels)
    assert batch(reels, "--json") == 3
    said = events(capsys.readouterr().out)
    assert said[-1]["done"] == 1
    assert {Path(e["source"]).name for e in said if e["event"] == "failed"} == {"io.mkv", "gone.mkv"}


def test_a_limit_leaves_the_rest_for_later(reels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cut.mkv", "text.mkv"):
        (reels / name).unlink()
    assert batch(reels, "--limit", "1", "--json") == 0
    assert events(capsys.readouterr().out)[-1]["left"] == 1
    assert batch(reels, "--limit", "1", "--json", "--keep-free", "1000T") == 1
    assert "free" in events(capsys.readouterr().out)[-1]["stopped"]
    assert batch(reels, "--json", "--verify") == 0
    assert events(capsys.readouterr().out)[-1]["done"] == 1


def test_a_manifest_has_recipes_and_overrides(reels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = reels.parent / "reels.csv"
    table.write_text("source,output,recipe,deflicker.strength\nin/one.mkv,a.mkv,r.toml,0.5\nin/one.mkv,b.mkv,,0\n")
    assert batch(table, "--dry-run") == 0
    table.write_text("source,output,deflicker.strenth\nin/one.mkv,a.mkv,0.5\n")
    assert batch(table) == 2
    said = capsys.readouterr().err
    assert "reels.csv line 2, column 3: " in said
    assert "strenth" in said
    assert not (reels.parent / "out").exists(), "nothing is begun where a recipe is wrong"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["empty", "out"], 1, "holds no film"),
        (["nowhere", "out"], 1, "no such folder"),
        (["in", "in"], 2, "write over a source"),
        (["in", "out", "--keep-free", "much"], 2, "write a size"),
        (["in", "out", "--name", "x.mkv"], 2, "would both become"),
        (["in", "out", "--recipe", "missing.toml"], 1, "no such recipe"),
        (["in", "file.txt"], 1, "cannot be written to"),
    ],
)
def test_what_cannot_be(
    reels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: int,
    says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(reels.parent)
    Path("empty").mkdir()
    Path("file.txt").write_text("")
    recipe = [] if "--recipe" in words else ["--recipe", "r.toml"]
    assert main(["batch", *words, *recipe]) == code
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1


def test_no_recipe(reels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert batch(reels, recipe=False) == 2
    assert "--recipe" in capsys.readouterr().err


def test_two_batches_keep_apart(reels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = reels.parent / "out" / FOLDER
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"):
        assert batch(reels) == 1
    assert "another batch" in capsys.readouterr().err


def test_a_cluster_that_does_not_answer_stops_the_batch_and_fails_no_reel(
    reels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    assert batch(reels, "--engine", "ray", "--address", "127.0.0.1:1") == 1
    assert "no one answers" in capsys.readouterr().err
    assert not (reels.parent / "out" / FOLDER / "ledger.jsonl").exists()
    assert batch(reels, "--address", "127.0.0.1:1", "--engine", "local") == 2
    assert batch(reels, "--engine", "ray", "--devices", "cuda:0") == 2


def test_a_full_disk_stops_the_batch_and_fails_no_reel(reels: Path) -> None:
    """No file may grow beyond some kilobytes: what a full disk looks like, without filling one."""
    for name in ("cut.mkv", "text.mkv"):
        (reels / name).unlink()
    limited = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({_ROOM}, {_ROOM})); "
    limited += "from restore.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ["batch", str(reels), str(reels.parent / "out"), "--recipe", str(reels.parent / "r.toml"), "--no-report"]
    command = [sys.executable, "-c", limited, *words, "--device", "cpu", "--json"]
    said = subprocess.run(command, check=False, capture_output=True, text=True)
    assert said.returncode == 1
    assert "no room" in said.stderr
    assert len(said.stderr.splitlines()) == 1
    assert not list((reels.parent / "out").rglob("*.mkv"))
    assert batch(reels) == 0
    assert len([path for path in (reels.parent / "out").rglob("*.mkv") if path.is_file()]) == 2


def start(reels: Path) -> subprocess.Popen[str]:
    words = ["batch", str(reels), str(reels.parent / "out"), "--recipe", str(reels.parent / "r.toml"), "--json"]
    words.append("--no-report")
    return subprocess.Popen(
        [sys.executable, "-m", "restore", *words, "--device", "cpu"], stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def workers(parent: int) -> list[int]:
    """Not what they are forked from, nor what tidies up after them."""
    import psutil

    found = psutil.Process(parent).children(recursive=True)
    leaves = [child for child in found if not child.children()]
    return [leaf.pid for leaf in leaves if not any("tracker" in word for word in leaf.cmdline())]


def test_a_reel_whose_process_dies_is_tried_once_more_and_the_rest_goes_on(reels: Path) -> None:
    for name in ("cut.mkv", "text.mkv"):
        (reels / name).unlink()
    running = start(reels)
    assert running.stdout is not None
    seen = [json.loads(running.stdout.readline())]
    while seen[-1]["event"] != "reel":
        seen.append(json.loads(running.stdout.readline()))
    deadline = time.monotonic() + 20
    while not (found := workers(running.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    rest, _ = running.communicate(timeout=120)
    last = events(rest)[-1]
    assert running.returncode == 0
    assert (last["done"], last["failed"]) == (2, [])


def test_a_killed_batch_goes_on_where_it_was(reels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running = start(reels)
    assert running.stdout is not None
    while json.loads(running.stdout.readline())["event"] != "reel":
        pass
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert batch(reels, "--json") == 3
    assert events(capsys.readouterr().out)[-1]["done"] == 2
