"""Denoise: grain goes, detail and whatever moves stay, and a clean film is hardly touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from contract import StageContract, frames_of, video_format
from films import decode

from restore import api
from restore.damage.grain import Grain
from restore.errors import OptionError
from restore.recipe import Recipe
from restore.stages import build_stage


def psnr(frames: torch.Tensor, truth: torch.Tensor) -> float:
    return float(-10 * torch.log10((frames.clamp(0, 1) - truth).square().mean()))


def rounded(frames: torch.Tensor) -> torch.Tensor:
    return (frames * 255).round() / 255


def scene(frames: int, seed: int = 0, cells: tuple[int, int] = (40, 60)) -> torch.Tensor:
    """(N, 3, 112, 144): a textured wall under a slow pan, and a bright square that walks against it."""
    noise = torch.rand((1, 3, *cells), generator=torch.Generator().manual_seed(seed))
    wall = 0.2 + 0.5 * F.interpolate(noise, (160, 240), mode="bicubic").clamp(0, 1)
    made = []
    for number in range(frames):
        picture = wall[0, :, 20:132, 10 + number : 154 + number].clone()
        x = 90 - 5 * number
        picture[:, 40:70, x : x + 24] = torch.tensor([0.8, 0.75, 0.6])[:, None, None]
        made.append(picture)
    return torch.stack(made)


class TestContract(StageContract):
    name = "denoise"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("grain", [Grain(5, 0.06, 0.7), Grain(6, 0.06, 0.4, color=0.4)], ids=["grey", "colour"])
def test_grain_goes_and_the_picture_comes_nearer(grain: Grain) -> None:
    truth = scene(9)
    damaged = rounded(grain.apply(truth))
    done = api.apply("denoise", damaged)
    alone = api.apply("denoise", damaged, radius=0)
    averaged = api.apply("denoise", damaged, spatial=0)
    before = psnr(damaged, truth)
    assert psnr(done, truth) > before + 6
    assert psnr(alone, truth) > before + 2, "without neighbours the frame alone is cleaned"
    assert psnr(averaged, truth) > before + 3, "and neighbours help without that"
    assert psnr(done, truth) > max(psnr(alone, truth), psnr(averaged, truth))


def test_what_moves_leaves_no_ghost() -> None:
    """Where the square was, and where it will be, the wall is as bright as it should be."""
    truth = scene(9)
    done = api.apply("denoise", rounded(Grain(7, 0.05, 0.6).apply(truth)))
    error = (done - truth)[4].mean(dim=0)
    x = 90 - 5 * 4
    beside = torch.cat((error[44:66, x - 14 : x - 2], error[44:66, x + 26 : x + 38]), dim=1)
    assert abs(float(beside.mean())) < 0.01
    assert float(beside.std()) < 0.04, "less is averaged there, but what is left is grain"


def test_strength_is_how_much_goes() -> None:
    damaged = rounded(Grain(8, 0.05, 0.6).apply(scene(5)))
    whole, half = (api.apply("denoise", damaged, strength=strength) for strength in (1.0, 0.5))
    assert torch.allclose(half, (damaged + whole) / 2, atol=1e-5)
    grey = api.apply("denoise", damaged, color=0)
    hue = lambda frames: frames[:, 0] - frames[:, 1]  # noqa: E731
    assert torch.allclose(hue(grey), hue(damaged), atol=1e-4)


def test_a_clean_film_is_hardly_touched() -> None:
    clean = rounded(scene(9, cells=(8, 12)))
    assert psnr(api.apply("denoise", clean), clean) > 45


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_films_with_nothing_to_see(frames: int, level: float) -> None:
    flat = torch.full((frames, 3, 48, 64), level)
    assert torch.equal(api.apply("denoise", flat), flat)


def test_tiny_and_short_films_come_through() -> None:
    for height, width in ((1, 1), (3, 200), (7, 9), (33, 34)):
        noisy = torch.rand((3, 3, height, width), generator=torch.Generator().manual_seed(height))
        done = api.apply("denoise", noisy)
        assert done.shape == noisy.shape
        assert torch.isfinite(done).all()


def test_the_plan_says_what_was_measured_and_an_edit_overrules_it(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 80, "gray"
        for picture in np.random.default_rng(3).normal(120, 6, (8, 80, 96)).round().astype(np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode(None))
    recipe = Recipe.of("denoise", strength=1.0)
    api.run(source, tmp_path / "out.mkv", recipe)
    plan = tmp_path / "out.mkv.restore"
    [shot] = sorted(plan.glob("plan/shot-*.json"))
    [found] = json.loads(shot.read_text())["stages"].values()
    sigma = found["values"]["noise"]["luma"]["sigma"]
    assert sigma[4] == pytest.approx(100 * 6 / 219, rel=0.08)
    left = np.std(decode(tmp_path / "out.mkv")[4].planes[0])
    assert left < 1.5
    edit = {"version": 1, "changes": [{"from": 0, "to": 10, "stage": "denoise", "set": {"strength": 0}}]}
    (plan / "edits.json").write_text(json.dumps(edit))
    api.run(source, tmp_path / "out.mkv", recipe, overwrite=True)
    assert np.std(decode(tmp_path / "out.mkv")[4].planes[0]) == pytest.approx(6, rel=0.1)


def test_edits_that_make_no_sense_are_refused() -> None:
    stage = build_stage("denoise")
    noise = {"luma": {"sigma": [1.0] * 10, "spectrum": [" ".join(["1"] * 8)] * 8}}
    assert stage.checked_edit({"noise": noise, "strength": 0.5})["strength"] == 0.5
    for wrong in (3, {"luma": {}}, {"green": noise["luma"]}, {"luma": {**noise["luma"], "sigma": [1]}}):
        with pytest.raises(OptionError, match="denoise: noise"):
            stage.checked_edit({"noise": wrong})


def test_alpha_is_left_alone() -> None:
    format = video_format("gbrap")
    frames = frames_of(format, 3)
    done = TestContract().render(build_stage("denoise"), frames, format)
    assert all(np.array_equal(a.planes[3], b.planes[3]) for a, b in zip(frames, done, strict=True))
