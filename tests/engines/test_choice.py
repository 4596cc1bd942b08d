"""Which engine a film gets when nobody says."""

from __future__ import annotations

from pathlib import Path

import pytest
from films import FilmSpec, write_film

from restore import api
from restore.engines import processes
from restore.engines.choice import EngineChoice
from restore.recipe import Recipe


def suited(source: Path, tmp_path: Path, recipe: Recipe) -> EngineChoice:
    return EngineChoice().suited(api.prepare_run(source, tmp_path / "out.mkv", recipe, device="cpu"))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("films") / "long.mkv", FilmSpec(frames=200))


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 4)
    monkeypatch.setattr(processes, "free_memory", lambda: 64 << 30)


def test_a_long_film_without_networks_gets_a_worker_a_core(long: Path, tmp_path: Path) -> None:
    assert suited(long, tmp_path, Recipe.of("dedust")) == EngineChoice("local", 4)


def test_little_memory_means_fewer_workers(
    long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(processes, "free_memory", lambda: 5 * processes.worker_bytes(0))
    assert suited(long, tmp_path, Recipe.of("dedust")) == EngineChoice("local", 2)
    monkeypatch.setattr(processes, "free_memory", lambda: processes.worker_bytes(0))
    assert suited(long, tmp_path, Recipe.of("dedust")) == EngineChoice()


def test_networks_and_short_films_stay_in_this_process(long: Path, tmp_path: Path) -> None:
    assert suited(long, tmp_path, Recipe.of("upscale", scale=2)) == EngineChoice()
    short = write_film(tmp_path / "short.mkv", FilmSpec(frames=60))
    assert suited(short, tmp_path, Recipe.of("dedust")) == EngineChoice()


def test_free_memory_is_some_of_the_machine() -> None:
    assert 1 << 26 < processes.free_memory() < 1 << 50
