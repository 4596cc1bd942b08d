"""Deflicker: what jumps goes, what was meant stays, and a steady film passes untouched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from contract import StageContract, frames_of, video_format
from films import decode
from material.films import write_film

from restore import api
from restore.analysis.brightness import GRID, LEVELS
from restore.damage.flicker import sample_flicker
from restore.errors import OptionError
from restore.frames import Frame, VideoFormat
from restore.pipeline.contract import Stage
from restore.pipeline.picture import Converter
from restore.recipe import Recipe
from restore.stages import build_stage

Array = npt.NDArray[np.float64]


def scene(frames: int, seed: int = 0) -> torch.Tensor:
    """(N, 3, 72, 96): a textured wall, and a disc that walks across it."""
    noise = torch.rand((1, 3, 12, 16), generator=torch.Generator().manual_seed(seed))
    wall = 0.15 + 0.6 * F.interpolate(noise, (72, 96), mode="bicubic").clamp(0, 1)
    y, x = torch.meshgrid(torch.arange(72.0), torch.arange(96.0), indexing="ij")
    made = []
    for number in range(frames):
        disc = (((x - 10 - 1.3 * number) ** 2 + (y - 40) ** 2) < 144).float()
        made.append(wall[0] * (1 - disc) + 0.2 * disc)
    return torch.stack(made)


def brightness(frames: torch.Tensor) -> Array:
    return frames.clamp(0, 1).mean(dim=(1, 2, 3)).double().numpy()


def jumps(curve: Array) -> float:
    """Deviation of log brightness around its course over 9 frames."""
    log = np.log(curve)
    padded = np.pad(log, 4, mode="reflect", reflect_type="odd")
    return float(np.std(log - np.convolve(padded, np.ones(9) / 9, "valid")))


def rounded(frames: torch.Tensor) -> torch.Tensor:
    return (frames * 255).round() / 255


class TestContract(StageContract):
    name = "deflicker"

    def values(self, stage: Stage[Any], frames: Sequence[Frame], format: VideoFormat) -> dict[str, Any]:
        """Random frames do not flicker, so the plan is made up."""
        super().values(stage, frames, format)
        random = np.random.default_rng(4)
        count = len(frames) - 1  # the last frame has none: it stays as it is
        found = {
            "pts": [frame.pts for frame in frames[:count]],
            "levels": list(LEVELS),
            "tones": random.normal(0, 0.05, (count, len(LEVELS))).tolist(),
            "grid": list(GRID),
            "cells": random.normal(0, 0.03, (count, GRID[0] * GRID[1])).tolist(),
        }
        return stage.told(found)


@pytest.mark.parametrize("seed", [1, 2])
def test_flicker_goes(seed: int) -> None:
    clean = scene(60)
    flickering = rounded(sample_flicker(60, seed, 0.05, contrast=0.03, pulse=0.02).apply(clean))
    done = api.apply("deflicker", flickering)
    against = brightness(clean)
    before, after = jumps(brightness(flickering) / against), jumps(brightness(done) / against)
    assert after < 0.15 * before
    assert np.abs(brightness(done) / against - 1).max() < 0.05


def test_local_flicker_goes() -> None:
    clean = scene(60)
    flickering = rounded(sample_flicker(60, 3, 0.0, local=0.05).apply(clean))

    def local_jumps(frames: torch.Tensor) -> float:
        cells = F.adaptive_avg_pool2d(frames / clean.clamp(min=0.1), (4, 5)).mean(1).flatten(1).double().numpy()
        return float(np.mean([jumps(cell) for cell in cells.T]))

    done, only_whole = api.apply("deflicker", flickering), api.apply("deflicker", flickering, local=0)
    assert local_jumps(done) < 0.4 * local_jumps(flickering)
    assert local_jumps(only_whole) > 0.8 * local_jumps(flickering)


def test_fades_and_lights_stay() -> None:
    count = 96
    frame = np.arange(count)
    course = np.clip(frame / 24, 0, 1) * np.clip((count - 1 - frame) / 24, 0, 1) * np.where(frame > 50, 0.6, 1)
    meant = scene(count) * torch.from_numpy(course).float()[:, None, None, None]
    done = api.apply("deflicker", rounded(sample_flicker(count, 5, 0.05).apply(meant)))
    assert np.abs(brightness(done) - brightness(meant)).max() < 0.06 * brightness(meant).max()
    assert brightness(done)[0] < 0.004, "black stays black"
    assert np.abs(brightness(done) - brightness(meant)).mean() < 0.02 * brightness(meant).max()
    untouched = api.apply("deflicker", rounded(meant))
    assert np.abs(brightness(untouched) - brightness(meant)).max() < 0.02 * brightness(meant).max()


def test_a_flash_stays() -> None:
    frames = scene(40)
    frames[20] = (frames[20] * 1.6).clamp(0, 1)
    done = api.apply("deflicker", rounded(frames))
    assert brightness(done)[20] > 1.2 * brightness(done)[19]


def test_a_steady_film_passes_untouched() -> None:
    frames = rounded(scene(40))
    assert torch.equal(api.apply("deflicker", frames), frames)


def test_colours_stay() -> None:
    clean = scene(40)
    flickering = rounded(sample_flicker(40, 8, 0.08).apply(clean))
    done = api.apply("deflicker", flickering)
    shares = [frames.mean(dim=(2, 3)) / frames.mean(dim=(1, 2, 3))[:, None] for frames in (clean, done)]
    assert torch.allclose(*shares, atol=0.01)


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_nothing_to_see(level: float, count: int) -> None:
    frames = torch.full((count, 3, 20, 30), level)
    assert torch.equal(api.apply("deflicker", frames), frames)


def test_black_frames_within_a_shot() -> None:
    frames = scene(30)
    frames[10:13] = 0
    done = api.apply("deflicker", rounded(frames))
    assert bool(done.isfinite().all())
    assert float(done[10:13].abs().max()) < 0.02
    assert float((done - rounded(frames)).abs().max()) < 0.05


@pytest.mark.parametrize("cuts", [(), tuple(range(1, 20))])
def test_a_film(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    source = write_film(tmp_path / "reel.mkv", 20, cuts)
    recipe = Recipe((("deflicker", build_stage("deflicker").options),))
    result = api.run(source, tmp_path / "out.mkv", recipe)
    assert not result.damaged
    assert len(decode(tmp_path / "out.mkv")) == 20


def test_options() -> None:
    with pytest.raises(OptionError, match="strength"):
        build_stage("deflicker", {"strength": 1.5})
    assert build_stage("deflicker").checked_edit({"strength": 0.5}) == {"strength": 0.5}
    with pytest.raises(OptionError, match="tones"):
        build_stage("deflicker").checked_edit({"tones": []})


def test_planes_with_alpha_and_after_rgb() -> None:
    """The planes domain keeps alpha, and serves pictures that an RGB stage has worked on."""
    converter = Converter(torch.device("cpu"))
    for name in ("yuva420p", "gbrap", "ya8"):
        format = video_format(name)
        frames = frames_of(format, 2)
        uploaded = converter.upload(list(enumerate(frames)), format)
        planes = converter.planes(uploaded, "planes")
        assert len(planes) == format.pixel.plane_count
        back = [converter.with_planes(p, tuple(x[n] for x in planes), format) for n, p in enumerate(uploaded)]
        for frame, done in zip(frames, converter.download(back, format), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(frame.planes, done.planes, strict=True))
    format = video_format("yuv420p")
    [picture] = converter.upload([(0, frames_of(format, 1)[0])], format)
    picture = converter.replaced(picture, converter.pixels([picture], "rgb")[0], None, "rgb", format)
    assert [tuple(plane.shape[1:]) for plane in converter.planes([picture], "planes")] == [(32, 40), (16, 20), (16, 20)]
