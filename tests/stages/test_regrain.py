"""Regrain: grain of the source's own strength and spectrum, the same for a frame however it is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from contract import StageContract
from films import decode

from restore import api
from restore.analysis.noise import LEVELS, Noise, NoiseMeter
from restore.damage.grain import Grain
from restore.errors import OptionError
from restore.frames import Frame, VideoFormat
from restore.pipeline.contract import Stage
from restore.recipe import Recipe
from restore.stages import build_stage

GREY = torch.full((6, 3, 160, 192), 0.5)


def measured(frames: torch.Tensor) -> Noise:
    meter = NoiseMeter()
    for frame in frames:
        meter.add([frame.mean(dim=0).numpy()])
    return meter.found()["luma"]


def noise(sigma: Sequence[float], size: float = 0.7) -> dict[str, Any]:
    """A plan of grain that strong, of clumps that large."""
    frequency = np.arange(8) / 16
    row = np.exp(-((2 * np.pi * size * frequency) ** 2))
    spectrum = np.outer(row, row)
    return Noise(np.asarray(sigma, np.float32), (spectrum / spectrum.mean()).astype(np.float32)).as_json()


class TestContract(StageContract):
    name = "regrain"

    def values(self, stage: Stage[Any], frames: Sequence[Frame], format: VideoFormat) -> dict[str, Any]:
        """Random frames are all noise, so the plan is made up."""
        super().values(stage, frames, format)
        planes = ("luma",) if format.pixel.model == "gray" else ("luma", "blue", "red")
        return stage.told({"noise": {name: noise([0.05] * 10) for name in planes}, "rows": [32, 16, 16]})


@pytest.mark.parametrize(
    "grain",
    [Grain(1, 0.05, 0.8), Grain(2, 0.04, 0.5, shape="disc"), Grain(3, 0.03, 0.0)],
    ids=["gauss", "disc", "white"],
)
def test_it_is_the_grain_that_was_measured(grain: Grain) -> None:
    source = measured(grain.apply(GREY))
    made = api.apply("regrain", GREY, {"noise": {"luma": source.as_json()}, "rows": [160]}, strength=1.0)
    again = measured(made)
    assert again.sigma[5] == pytest.approx(source.sigma[5], rel=0.05)
    assert float((made - GREY).std()) == pytest.approx(grain.deviation, rel=0.1)
    strong = source.spectrum > 0.3
    assert np.abs(np.log(again.spectrum / source.spectrum))[strong].max() < 0.25
    assert float((made[:, 0] - made[:, 1]).abs().max()) < 1e-5, "grey grain stays grey"


def test_it_follows_brightness() -> None:
    ramp = torch.linspace(0.02, 0.98, 192).expand(4, 3, 160, 192)
    sigma = [0.01 + 0.04 * level for level in LEVELS]
    made = api.apply("regrain", ramp, {"noise": {"luma": noise(sigma)}, "rows": [160]}, strength=1.0)
    change = (made - ramp)[:, 0]
    for column in (30, 90, 150):
        expected = 0.01 + 0.04 * float(ramp[0, 0, 0, column])
        assert float(change[:, :, column - 8 : column + 8].std()) == pytest.approx(expected, rel=0.12)


def test_after_an_upscale_it_is_as_coarse_as_it_looked() -> None:
    plan = {"noise": {"luma": noise([0.04] * 10)}, "rows": [80]}
    made = api.apply("regrain", GREY, plan, strength=1.0)
    assert float((made - GREY).std()) == pytest.approx(0.04, rel=0.08)
    small = torch.nn.functional.avg_pool2d(made, 2)
    assert float((small - 0.5).std()) > 0.032, "twice as large, it is not lost when the picture is reduced"


def test_frames_have_grain_of_their_own_and_seeds_too() -> None:
    first = api.apply("regrain", GREY, amount=4, size=0.6)
    assert torch.equal(first, api.apply("regrain", GREY, amount=4, size=0.6))
    flat = (first - GREY)[:, 0].flatten(1)
    assert float(torch.corrcoef(flat).fill_diagonal_(0).abs().max()) < 0.05
    assert not torch.equal(first, api.apply("regrain", GREY, amount=4, size=0.6, seed=1))


def test_by_hand() -> None:
    for amount, strength in ((4.0, 1.0), (2.0, 0.5)):
        made = api.apply("regrain", GREY, amount=amount, size=0.8, strength=strength)
        assert float((made - GREY).std()) == pytest.approx(amount * strength / 100, rel=0.06)
    fine, coarse = (measured(api.apply("regrain", GREY, amount=4, size=size)).spectrum for size in (0.3, 1.5))
    assert coarse[0, 1] / coarse[0, 6] > 100 > fine[0, 1] / fine[0, 6]


def test_a_clean_film_gets_none() -> None:
    assert torch.equal(api.apply("regrain", GREY), GREY)


def test_it_measures_the_source_not_what_reaches_it(tmp_path: Path) -> None:
    """Behind a denoiser it puts back what that took."""
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "gray"
        for picture in np.random.default_rng(3).normal(120, 6, (8, 96, 128)).round().astype(np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode(None))
    recipe = Recipe.of("denoise", strength=1.0).with_stages(Recipe.of("regrain", strength=1.0).stages)
    api.run(source, tmp_path / "out.mkv", recipe)
    pictures = [frame.planes[0].astype(float) for frame in decode(tmp_path / "out.mkv")]
    assert np.std(pictures[3]) == pytest.approx(6, rel=0.1)
    assert abs(np.corrcoef(pictures[3].ravel(), pictures[4].ravel())[0, 1]) < 0.1


def test_edits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(OptionError, match="regrain: noise"):
        build_stage("regrain").checked_edit({"noise": {"luma": {"sigma": [1]}}})
