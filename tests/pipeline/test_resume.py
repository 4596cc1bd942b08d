"""Stopped at any moment, by any means: the same command goes on from there."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from material.films import samples, write_film, write_pictures

import restore
from restore.cli.main import main
from restore.errors import CancelledError, JobBusyError
from restore.media.options import OutputOptions
from restore.pipeline.job import Job
from restore.pipeline.journal import Entry, Journal
from restore.pipeline.progress import Progress
from restore.recipe import Recipe

PLAIN = Recipe(Recipe.of("upscale", strength=0).stages, output=OutputOptions(codec="ffv1"))


def fork(arguments: Sequence[str]) -> int:
    """`restore` in a process of its own, forked from this one, which has torch loaded already."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = main(list(arguments))
    finally:
        os._exit(status)


@pytest.fixture(scope="module")
def soak() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts/soak_resume.py"
    spec = importlib.util.spec_from_file_location("soak_resume", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_killed_again_and_again(tmp_path: Path, soak: ModuleType) -> None:
    """scripts/soak_resume.py, which kills twenty times, on less and without fresh interpreters."""
    trial = soak.Soak(tmp_path, fork, frames=375, seed=6)
    trial.run(kills=7)
    assert trial.killed == 7
    assert len(set(trial.moments)) >= 4


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("moment", ["list", "render"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    source = write_film(tmp_path / "in.mkv", 750, range(75, 750, 75))
    output, job = tmp_path / "out.mkv", tmp_path / "out.mkv.restore"
    line = ["upscale", str(source), str(output), "--strength", "0", "--codec", "ffv1"]
    process = fork(line)
    wait_for((job / "job.json").exists if moment == "list" else (job / "journal.jsonl").exists)
    os.kill(process, number)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 130
    assert not output.exists()
    assert (job / "job.json").exists()
    assert not list(tmp_path.rglob("*.part"))
    if moment == "list":
        assert (job / "plan/partial.npz").exists(), "what was listed is kept"
    done = len(Journal(job / "journal.jsonl").entries)
    assert main([*line, "--quiet"]) == 0
    assert len(Journal(job / "journal.jsonl").entries) == 10
    assert done == 0 or moment == "render"


def test_cancelled_by_event_and_by_function(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 200, (60, 120))
    event, seen = threading.Event(), []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.phase == "render" and progress.done:
            event.set()

    with pytest.raises(CancelledError, match="goes on from here"):
        restore.run(source, tmp_path / "out.mkv", PLAIN, on_progress=watch, cancel=event)
    assert {progress.phase for progress in seen} >= {"list", "render"}
    with pytest.raises(CancelledError):
        restore.run(source, tmp_path / "out.mkv", PLAIN, cancel=lambda: True)
    assert not (tmp_path / "out.mkv").exists()
    restore.run(source, tmp_path / "out.mkv", PLAIN)
    restore.run(source, tmp_path / "calm.mkv", PLAIN)
    assert samples(tmp_path / "out.mkv") == samples(tmp_path / "calm.mkv")


def test_one_process_a_job(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 10)
    with Job(tmp_path / "out.mkv.restore"):
        with pytest.raises(JobBusyError, match="another process"):
            restore.run(source, tmp_path / "out.mkv", PLAIN)
        process = fork(["upscale", str(source), str(tmp_path / "out.mkv"), "--strength", "0"])
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 1
    restore.run(source, tmp_path / "out.mkv", PLAIN)


def test_pictures_go_on_where_they_stopped(tmp_path: Path) -> None:
    pattern = write_pictures(tmp_path / "scan", 150, (50, 100))
    (tmp_path / "out").mkdir()
    output = tmp_path / "out/p_%04d.png"
    line = ["upscale", str(pattern), str(output), "--fps", "24", "--strength", "0", "--scale", "1"]
    for finished in (0, 1):  # in the first segment, before anything stands in the journal; and later
        process = fork(line)
        journal = tmp_path / "out/p_%04d.png.restore/journal.jsonl"
        wait_for(lambda: any((tmp_path / "out").glob("*.png")) and len(Journal(journal).entries) >= finished)  # noqa: B023
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    entries = dict(Journal(journal).entries)
    assert main([*line, "--quiet"]) == 0
    assert entries.items() <= Journal(journal).entries.items()
    assert len(list((tmp_path / "out").glob("p_*.png"))) == 150
    assert not list((tmp_path / "out").glob("*.part"))
    # The job's own pictures may be replaced by the job, even when its journal was cleaned away.
    assert main(["clean", str(journal.parent)]) == 0
    assert main([*line, "--quiet"]) == 0


def test_a_torn_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for key in "abc":
        journal.add(Entry(key, 0, 48, 1000, 0, 1.0, 1))
    text = journal.path.read_bytes()
    for length in range(len(text)):
        journal.path.write_bytes(text[:length])
        read = Journal(journal.path)
        assert list(read.entries) == list("abc")[: len(read.entries)]
        read.add(Entry("d", 0, 48, 1000, 0, 1.0, 1))
        assert "d" in Journal(journal.path).entries
    journal.path.write_bytes(text)
    journal.forget(["b", "x"])
    assert list(Journal(journal.path).entries) == ["a", "c"]
    journal.path.write_bytes(b'null\n[]\n{"forget": 3}\n\xff\n' + text)
    assert list(Journal(journal.path).entries) == ["a", "b", "c"]


def test_encoder_threads_are_the_jobs(tmp_path: Path) -> None:
    source = write_film(tmp_path / "reel.mkv", 8)
    recipe = Recipe.of("upscale", strength=0)
    restore.run(source, tmp_path / "out.mkv", Recipe(recipe.stages, output=OutputOptions(threads=3)))
    again = restore.run(source, tmp_path / "out.mkv", recipe)
    assert again.unchanged, "another number of threads would have rendered everything again"
