"""A real Ray on this machine: the inline engine's bytes, a death in the middle, and addresses where no one is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from films import FilmSpec, reel_of_shots, write_film

import restore
from restore.cli.main import main
from restore.engines.ray import RayEngine
from restore.errors import EngineError, OptionError
from restore.media.options import OutputOptions
from restore.recipe import Recipe

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A head with two cores; its workers can import the test stages."""
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), before])
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
    os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("films") / "reel.mkv", FilmSpec(codec="ffv1", frames=300))


@pytest.mark.timeout(240)
def test_two_workers_give_the_inline_bytes_though_one_dies(
    cluster: None, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restore import stages

    monkeypatch.setitem(stages._STAGES, "fatal", ("material.fatal:FatalOptions", "material.fatal:Fatal"))

    def recipe(folder: str, times: int) -> Recipe:
        (tmp_path / folder).mkdir()
        stage = Recipe.of("fatal", folder=str(tmp_path / folder), times=times)
        return Recipe(stage.stages, output=OutputOptions(codec="ffv1", threads=1))

    inline = restore.run(source, tmp_path / "inline.mkv", recipe("never", 0)).output.read_bytes()
    engine = RayEngine(2)
    result = restore.run(source, tmp_path / "ray.mkv", recipe("once", 1), engine=engine)
    assert result.frames == 300
    assert len(engine.retried) == 1
    assert (tmp_path / "ray.mkv").read_bytes() == inline
    assert not list((tmp_path / "ray.mkv.restore").glob(".shared*"))


@pytest.mark.timeout(240)
def test_a_batch_and_its_analyses_on_ray(cluster: None, tmp_path: Path) -> None:
    """The real command, its child process a driver of the same cluster; the plans and films of the inline engine."""
    reels = tmp_path / "in"
    reels.mkdir()
    for name in ("a.mkv", "b.mkv"):
        reel_of_shots(reels / name)
    (tmp_path / "r.toml").write_text('[output]\nthreads = 1\n[[stage]]\nname = "deflicker"\n')
    words = ["--recipe", str(tmp_path / "r.toml"), "--device", "cpu", "--no-report", "--quiet"]
    assert main(["batch", str(reels), str(tmp_path / "inline"), *words]) == 0
    address = ray.get_runtime_context().gcs_address
    assert main(["batch", str(reels), str(tmp_path / "ray"), *words, "--address", address, "--workers", "2"]) == 0
    made = [
        {path.name: path.read_bytes() for path in sorted((tmp_path / engine).rglob("*")) if path.match(pattern)}
        for pattern in ("shot-*.json", "?.mkv") for engine in ("inline", "ray")
        if (tmp_path / engine).exists()
    ]  # fmt: skip
    assert made[0] == made[1]
    assert len(made[0]) == 3
    assert made[2] == made[3]
    assert len(made[2]) == 2


@pytest.mark.timeout(120)
def test_storage_that_is_not_shared_is_named(
    cluster: None, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that mounts something else under the same path sees another probe file."""
    write = Path.write_text
    monkeypatch.setattr(Path, "write_text", lambda path, text, **k: write(path, "other" if ".shared-" in path.name else
                                                                          text, **k))  # fmt: skip
    with pytest.raises(EngineError, match="shared"):
        restore.run(source, tmp_path / "out.mkv", Recipe.of("upscale", scale=2, strength=0), engine=RayEngine(1))
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--address", "127.0.0.1:1"], 1, "no one answers"),
        (["--address", "ray://127.0.0.1:1"], 1, "no one answers"),
        (["--address", "somewhere"], 2, "HOST:PORT"),
        (["--engine", "local", "--address", "auto"], 2, "--address"),
        (["--engine", "ray", "--devices", "cuda:0"], 2, "--devices"),
    ],
)
def test_addresses_that_cannot_be(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    ray.shutdown()
    assert main(["deflicker", str(source), str(tmp_path / "out.mkv"), "--quiet", *words]) == code
    assert says in capsys.readouterr().err


def test_no_workers_is_an_error() -> None:
    with pytest.raises(OptionError, match="at least 1"):
        RayEngine(0)
