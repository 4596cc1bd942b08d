"""Worker processes: the inline engine's bytes, whatever dies on the way."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from films import FilmSpec, reel_of_shots, write_film

import restore
from restore.engines.local import LocalEngine
from restore.errors import CancelledError, EngineError, OptionError
from restore.media.options import OutputOptions
from restore.recipe import Recipe


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("films") / "reel.mkv", FilmSpec(codec="ffv1", frames=620))


def recipe(codec: str) -> Recipe:
    stages = Recipe.of("upscale", scale=2, strength=0).stages
    return Recipe(stages, output=OutputOptions(codec=codec, threads=1))


def run(source: Path, output: Path, engine: LocalEngine | None, codec: str = "ffv1") -> bytes:
    result = restore.run(source, output, recipe(codec), engine=engine)
    assert result.frames == 620
    return output.read_bytes()


def test_two_workers_give_the_inline_bytes(tmp_path: Path, source: Path) -> None:
    inline = run(source, tmp_path / "inline.mkv", None, "x264")
    engine = LocalEngine(2)
    assert run(source, tmp_path / "local.mkv", engine, "x264") == inline
    assert not engine.retried


def test_analysis_in_this_process_can_be_stopped_whichever_shot_it_is_at(tmp_path: Path) -> None:
    source = reel_of_shots(tmp_path / "reel.mkv")
    frames: list[int] = []
    with pytest.raises(CancelledError):
        restore.run(
            source, tmp_path / "out.mkv", Recipe.of("deflicker"),
            on_progress=lambda progress: frames.append(progress.done) if progress.phase == "analyse" else None,
            cancel=lambda: bool(frames),
        )  # fmt: skip
    assert restore.run(source, tmp_path / "out.mkv", Recipe.of("deflicker")).frames == 90


def test_shots_are_analysed_by_workers_too(tmp_path: Path) -> None:
    source = reel_of_shots(tmp_path / "reel.mkv")
    recipe = Recipe.of("deflicker")
    inline = restore.run(source, tmp_path / "inline.mkv", recipe)
    local = restore.run(source, tmp_path / "local.mkv", recipe, engine=LocalEngine(2))
    plans = [sorted((result.folder / "plan").glob("shot-*.json")) for result in (inline, local)]
    assert len(plans[0]) == 3
    assert [path.read_bytes() for path in plans[0]] == [path.read_bytes() for path in plans[1]]
    assert inline.output.read_bytes() == local.output.read_bytes()


def fatal(monkeypatch: pytest.MonkeyPatch, folder: Path, times: int) -> Recipe:
    """A recipe whose stage kills its process, so many times, in the middle of the film."""
    from restore import stages

    folder.mkdir()
    monkeypatch.setitem(stages._STAGES, "fatal", ("material.fatal:FatalOptions", "material.fatal:Fatal"))
    return Recipe(Recipe.of("fatal", folder=str(folder), times=times).stages, output=OutputOptions(codec="ffv1"))


def test_a_killed_worker_costs_its_segment(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = restore.run(source, tmp_path / "whole.mkv", fatal(monkeypatch, tmp_path / "never", 0))
    engine = LocalEngine(2)
    output = tmp_path / "killed.mkv"
    restore.run(source, output, fatal(monkeypatch, tmp_path / "once", 1), engine=engine)
    assert len(engine.retried) == 1
    assert output.read_bytes() == whole.output.read_bytes()


def test_a_segment_that_kills_every_worker_is_named(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match=r"frames \d+ to \d+: 3 workers died"):
        restore.run(source, tmp_path / "out.mkv", fatal(monkeypatch, tmp_path / "ever", 99), engine=LocalEngine(1))
    assert not (tmp_path / "out.mkv").exists()


def test_cancelling_ends_the_workers(tmp_path: Path, source: Path) -> None:
    seen: list[str] = []
    with pytest.raises(CancelledError):
        restore.run(
            source, tmp_path / "out.mkv", recipe("ffv1"), engine=LocalEngine(2),
            on_progress=lambda progress: seen.append(progress.phase), cancel=lambda: "render" in seen,
        )  # fmt: skip
    assert not multiprocessing.active_children()


def test_no_workers_is_an_error() -> None:
    with pytest.raises(OptionError, match="at least 1"):
        LocalEngine(0)
