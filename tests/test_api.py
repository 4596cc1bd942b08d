"""The library's front door, used as a Python programmer would."""

from __future__ import annotations

import doctest
import importlib
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from material.films import pictures, write_film

import restore
from restore.errors import CancelledError, OptionError, RestoreError
from restore.recipe import Recipe

ROOT = Path(__file__).parents[1]


def test_arrays_and_tensors(tiny_reel: Path) -> None:
    """The same pictures as uint8, uint16 and tensors give the same, to the precision each holds."""
    frames = np.stack(pictures(3))
    small = restore.apply("upscale", frames, model=str(tiny_reel), precision="fp32", noise=0.2, blur=0, compression=0)
    assert small.dtype == np.uint8
    assert small.shape == (3, 96, 128, 3)
    deep = restore.apply(
        "upscale", frames.astype(np.uint16) * 257, model=str(tiny_reel), noise=0.2, blur=0, compression=0
    )
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - small.astype(float)).max() <= 0.51
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
    given = tensor.clone()
    floats = restore.apply("upscale", tensor, model=str(tiny_reel), noise=0.2, blur=0, compression=0)
    assert torch.equal(tensor, given), "the caller's frames are left alone"
    assert floats.shape == (3, 3, 96, 128)
    assert np.array_equal(floats.mul(255).round().clamp(0, 255).permute(0, 2, 3, 1).numpy(), small)
    with torch.no_grad():
        half = restore.apply("upscale", tensor.half(), model=str(tiny_reel), strength=0)
    assert torch.allclose(half, F.interpolate(tensor, (96, 128), mode="bicubic", antialias=True), atol=2e-3)


def test_a_plan_by_hand(tiny_reel: Path) -> None:
    frames = np.stack(pictures(2))
    found = restore.apply("upscale", frames, model=str(tiny_reel))
    said = restore.apply("upscale", frames, {"blur": 1.0, "noise": 1.0, "compression": 1.0}, model=str(tiny_reel))
    assert not np.array_equal(found, said)
    off = restore.apply("upscale", frames, {"strength": 0}, model=str(tiny_reel))
    assert np.array_equal(off, restore.apply("upscale", frames, model=str(tiny_reel), strength=0))


@pytest.mark.usefixtures("known_stages")
@pytest.mark.parametrize("name", ["average", "luma-average", "mute", "patch", "luma-patch", "stretch"])
def test_windows_domains_and_masks(name: str) -> None:
    frames = np.stack(pictures(4))
    done = restore.apply(name, frames)
    assert done.shape == frames.shape
    assert not np.array_equal(done, frames) or name == "stretch"
    if "patch" in name:
        outside = np.ones(frames.shape[1:3], bool)
        outside[8:20, 8:24] = False
        assert np.array_equal(done[:, outside], frames[:, outside])
    if name == "average":
        mean = frames[:3].astype(float).mean(0)
        assert np.abs(done[1] - mean).max() <= 0.51, "frame 1 sees 0, 1 and 2; what would lie before 0 has no say"


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
        torch.zeros((2, 8, 8, 3)),
        torch.zeros((2, 3, 8, 8), dtype=torch.uint8),
        torch.zeros((0, 3, 8, 8)),
    ],
    ids=str,
)
def test_frames_of_another_form(frames: Any) -> None:
    with pytest.raises(OptionError, match="frames"):
        restore.apply("upscale", frames, strength=0)


def test_unknown_things() -> None:
    with pytest.raises(OptionError, match="did you mean upscale"):
        Recipe.of("upscal")
    with pytest.raises(ValueError, match="there is no option scael"):
        Recipe.of("upscale", scael=2)
    with pytest.raises(LookupError):
        restore.apply("upscale", np.zeros((1, 8, 8, 3), np.uint8), model="no-such-model")
    with pytest.raises(AttributeError):
        restore.nonsense  # noqa: B018
    with pytest.raises(RestoreError):
        restore.probe("missing.mp4")
    with pytest.raises(FileNotFoundError):
        restore.probe("missing.mp4")


def test_probe_and_shots(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 50, (20,), audio=True)
    info = restore.probe(source)
    assert (info.format.width, info.format.height, info.format.frame_rate) == (64, 48, 25)
    assert [stream.kind for stream in info.streams] == ["audio"]
    shots = restore.shots(source)
    assert [(float(shot.start), float(shot.end)) for shot in shots] == [(0, 0.8), (0.8, 2.0)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv"], "looking leaves nothing behind"


def test_progress_and_cancel(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 30)
    seen: list[Any] = []
    recipe = Recipe.of("upscale", strength=0)
    result = restore.run(source, tmp_path / "out.mkv", recipe, on_progress=seen.append)
    assert result.frames == 30
    last = {progress.phase: progress for progress in seen}
    assert {phase: progress.done for phase, progress in last.items()}.items() >= {
        "list": 30,
        "render": 30,
        "join": 30,
    }.items()
    for phase in last:
        counts = [progress.done for progress in seen if progress.phase == phase]
        assert counts == sorted(counts)
    event = threading.Event()
    event.set()
    with pytest.raises(CancelledError):
        restore.run(source, tmp_path / "other.mkv", recipe, cancel=event)


def test_a_recipe_survives_json(tmp_path: Path) -> None:
    recipe = Recipe.from_dict(
        {"input": {"fps": "23.976"}, "output": {"crf": 12.5, "encoder_options": {"tune": "grain"}},
         "stage": [{"name": "upscale", "height": 1080}]}
    )  # fmt: skip
    assert Recipe.from_dict(recipe.as_dict()) == recipe
    assert recipe.with_stages(Recipe.of("upscale").stages).stages[1][0] == "upscale"


def examples(module: str) -> list[str]:
    """Indented example lines of a module's and its classes' docstrings that call the library."""
    found = importlib.import_module(module)
    named = [getattr(found, name) for name in getattr(found, "__all__", ["Recipe"])]
    texts = [found.__doc__ or "", *(thing.__doc__ or "" for thing in named if callable(thing))]
    return [line.strip() for text in texts for line in text.splitlines() if re.match(r" +(restore\.|Recipe\.)\w", line)]


def test_examples_of_the_docstrings_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_film(tmp_path / "reel.mp4", 5, codec="libx264")
    (tmp_path / "film.toml").write_text('[[stage]]\nname = "upscale"\n')
    lines = [*examples("restore"), *examples("restore.recipe")]
    assert len(lines) >= 3
    for line in lines:
        eval(line, {"restore": restore, "Recipe": Recipe})
    assert (tmp_path / "reel_2x.mp4").exists()
    for name in ("restore.api", "restore.times", "restore.recipe", "restore.frames"):
        assert not doctest.testmod(importlib.import_module(name)).failed
