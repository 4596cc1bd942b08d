"""Stabilize: weave goes, the camera's movement stays, people who move do not mislead it, a still film is untouched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from contract import StageContract, video_format
from films import decode
from material.films import write_film

from restore import api
from restore.analysis.camera_path import CameraPath
from restore.damage.weave import sample_weave, weave
from restore.errors import OptionError
from restore.frames import Frame, VideoFormat
from restore.pipeline.contract import Stage
from restore.recipe import Recipe
from restore.stages import build_stage
from restore.stages.stabilize.analysis import weave_plan
from restore.stages.stabilize.options import StabilizeOptions
from restore.stages.stabilize.warp import LOBES, canvas, shifted, turned

Array = npt.NDArray[np.float64]


def wall(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """(1, 3, H, W) texture of several sizes."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros((1, 3, height, width))
    for size in (6, 12, 30):
        noise = torch.rand((1, 3, height // size + 2, width // size + 2), generator=generator)
        total += F.interpolate(noise, (height, width), mode="bicubic")
    return (total / 3).clamp(0, 1)


def view(picture: torch.Tensor, left: float, top: float, height: int, width: int) -> torch.Tensor:
    """A window of a picture, at any place."""
    y, x = torch.meshgrid(torch.arange(height) + float(top), torch.arange(width) + float(left), indexing="ij")
    grid = torch.stack((x * 2 / (picture.shape[3] - 1) - 1, y * 2 / (picture.shape[2] - 1) - 1), -1)
    return F.grid_sample(picture, grid[None].float(), "bicubic", align_corners=True)[0]


def rounded(frames: torch.Tensor) -> torch.Tensor:
    return (frames * 255).round().clamp(0, 255) / 255


def path_of(frames: torch.Tensor) -> Array:
    path = CameraPath()
    for frame in frames.mean(dim=1):
        path.add(frame)
    return path.path()


def jitter(path: Array) -> float:
    """Deviation of both coordinates around a parabola through 13 frames (Savitzky and Golay 1964)."""
    x = np.arange(-6, 7)
    middle = np.linalg.pinv(np.stack((np.ones(13), x, x * x), 1))[0]
    smooth = np.stack([np.convolve(column, middle[::-1], "valid") for column in path[:, :2].T], 1)
    return float((path[6:-6, :2] - smooth).std(axis=0).max())


class TestContract(StageContract):
    name = "stabilize"

    @pytest.fixture(params=[{}, {"turn": True}, {"crop": 4}])
    def stage(self, request: pytest.FixtureRequest) -> Stage[Any]:
        return build_stage("stabilize", request.param)

    def values(self, stage: Stage[Any], frames: Sequence[Frame], format: VideoFormat) -> dict[str, Any]:
        """Random frames have no path, so the plan is made up."""
        super().values(stage, frames, format)
        random = np.random.default_rng(4)
        count = len(frames) - 1  # the last frame has none: it stays where it is
        found = {
            "pts": [frame.pts for frame in frames[:count]],
            "path": random.normal(0, 2, (count, 2)).tolist(),
            "shift": random.normal(0, 2, (count, 2)).tolist(),
        }
        if getattr(stage.options, "turn", False):
            found["turn"] = random.normal(0, 0.01, (count, 2)).tolist()
        return stage.told(found)


@pytest.mark.parametrize("seed", [1, 2])
def test_weave_goes(seed: int) -> None:
    still = wall(136, 176).repeat(40, 1, 1, 1)
    woven = rounded(weave(still, sample_weave(40, seed, 0.8), 8))
    done = api.apply("stabilize", woven)
    assert jitter(path_of(woven)) > 0.4
    assert jitter(path_of(done)) < 0.05
    apart = (done - done.median(dim=0).values)[..., 4:-4, 4:-4].square().mean().sqrt()
    assert float(apart) < 0.01, "every frame shows the same"


def test_a_camera_that_a_car_shakes_is_no_weave() -> None:
    """Across, it swings like a spring; up and down it jolts as far, which by itself would look like weave."""
    random, count = np.random.default_rng(2), 60
    swing = 0.5 * np.sin(2 * np.pi * (np.arange(count) / 4.6 + np.cumsum(random.normal(0, 0.02, count))))
    jolts = random.normal(0, 0.3, count)
    path = np.stack((swing, jolts, 0 * jolts, 0 * jolts), 1)
    options = StabilizeOptions()
    assert "shift" not in weave_plan(list(range(count)), path, 176, options)
    path[:, 0] = random.normal(0, 0.2, count)
    found = weave_plan(list(range(count)), path, 176, options)
    left = path[:, :2] + np.array(found["shift"])
    assert float(left.std(axis=0).max()) < 0.1, "both axes jump: that is the gate"


def test_a_pan_stays() -> None:
    picture, count = wall(140, 420), 60
    t = np.clip((np.arange(count) - 15) / 30, 0, 1)
    course = 120 * t * t * (3 - 2 * t)
    pan = torch.stack([view(picture, 12 + x, 12, 112, 160) for x in course])
    shaken = torch.stack(
        [
            view(picture, 12 + x - dx, 12 - dy, 112, 160)
            for x, (dx, dy, _) in zip(course, sample_weave(count, 3), strict=True)
        ]
    )
    assert torch.equal(api.apply("stabilize", rounded(pan)), rounded(pan))
    done = path_of(api.apply("stabilize", rounded(shaken)))
    assert jitter(done) < 0.15 + jitter(path_of(pan)), "a fast pan has some of its own"
    assert np.abs(done[:, 0] + course).max() < 2.5
    assert abs(done[-1, 0] + 120) < 1.5


def test_people_do_not_mislead_it() -> None:
    """A textured figure covers a third of the picture and walks, stops, walks."""
    still, count = wall(136, 208), 40
    figure = wall(100, 60, seed=5)[0]
    frames = still.repeat(count, 1, 1, 1)
    for number in range(count):
        left = 30 + 2 * min(number, 12) + 2 * max(0, number - 25)
        frames[number, :, 30:130, left : left + 60] = figure
    done = api.apply("stabilize", rounded(weave(frames, sample_weave(count, 6, 0.8), 8)))
    assert jitter(path_of(done)) < 0.1
    corner = (done - done.median(dim=0).values)[..., 4:22, 4:-4].square().mean().sqrt()
    assert float(corner) < 0.015


def test_turns_go_if_asked() -> None:
    still = wall(136, 176).repeat(40, 1, 1, 1)
    woven = rounded(weave(still, sample_weave(40, 4, 0.5, turn=0.006), 8))
    kept, done = (path_of(api.apply("stabilize", woven, turn=turn))[:, 2] for turn in (False, True))
    assert kept.std() > 0.004
    assert done.std() < 0.0008


def test_a_still_film_passes_untouched() -> None:
    frames = wall(96, 128).repeat(20, 1, 1, 1)
    noisy = rounded(frames + 0.01 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(api.apply("stabilize", noisy), noisy)


def test_edges_come_from_neighbours() -> None:
    """A bright stripe at the edge that a jump hides comes back, rather than the repeated edge."""
    still = wall(136, 176).repeat(30, 1, 1, 1)
    path = sample_weave(30, 9, 0.5, sway=0)
    path[15] = (4.0, 0.0, 0.0)  # everything lies far right: the right-hand 4 pixels are not in this frame
    woven = rounded(weave(still, path, 10))
    done = api.apply("stabilize", woven)
    right = (done[15] - done[14])[..., 6:-6, -4:].square().mean().sqrt()
    repeated = (done[14] - done[14][..., -5:-4])[..., 6:-6, -4:].square().mean().sqrt()
    assert float(right) < 0.3 * float(repeated)
    cropped = api.apply("stabilize", woven, crop=8)
    assert cropped.shape[-2:] == (woven.shape[-2] - 16, woven.shape[-1] - 16)


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5])
def test_shifts_stay_sharp(fraction: float) -> None:
    """Detail at half of what samples can hold moves unchanged."""
    x = torch.arange(64.0)
    wave = 0.5 + 0.4 * torch.cos(2 * torch.pi * 0.25 * x)
    plane = wave.repeat(40, 1)
    margin = 4 + LOBES
    moved = shifted(canvas(plane, [], margin), margin, 2 + fraction, -1)
    wanted = 0.5 + 0.4 * torch.cos(2 * torch.pi * 0.25 * (x - 2 - fraction))
    assert torch.allclose(moved[10, 12:-12], wanted[12:-12], atol=0.01)
    again = turned(canvas(plane, [], margin), margin, 2 + fraction, -1, 0.0, 1.0, 1.0)
    assert float((again - moved)[8:-8, 12:-12].abs().max()) < 0.1


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("count", [1, 3, 12])
def test_nothing_to_see(level: float, count: int) -> None:
    frames = torch.full((count, 3, 60, 80), level)
    assert torch.equal(api.apply("stabilize", frames), frames)


@pytest.mark.parametrize("cuts", [(), tuple(range(1, 14))])
def test_a_film(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    source = write_film(tmp_path / "reel.mkv", 14, cuts)
    recipe = Recipe((("stabilize", build_stage("stabilize").options),))
    assert not api.run(source, tmp_path / "out.mkv", recipe).damaged
    assert len(decode(tmp_path / "out.mkv")) == 14


def test_options() -> None:

    with pytest.raises(OptionError, match="nothing of 40x32"):
        build_stage("stabilize", {"crop": 16}).check(video_format("gray"))
    with pytest.raises(OptionError, match="multiple of 2"):
        build_stage("stabilize", {"crop": 3}).check(video_format("yuv420p"))
    assert build_stage("stabilize").checked_edit({"strength": 0.5}) == {"strength": 0.5}
