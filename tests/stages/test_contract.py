"""The contract suite over every stage there is, and over windowed and masked ones that only tests know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from contract import CPU, StageContract, frames_of, same, video_format
from material.faces import face_plan
from material.stages import STAGES, AmountOptions

from restore.frames import Frame, PixelFormat, VideoFormat
from restore.pipeline.contract import Stage
from restore.pipeline.picture import Converter
from restore.pipeline.timeline import TimelineStage
from restore.stages import build_stage, stage_names

COVERED = {
    "colorize", "dedust", "deflicker", "denoise", "reage", "refade", "regrain", "retouch", "stabilize", "upscale",
}  # fmt: skip


def test_every_stage_keeps_the_contract() -> None:
    """Stages that change which frames there are keep another one; their tests are beside this."""
    stages = [build_stage(name) for name in stage_names()]
    pictures = {stage.name for stage in stages if not isinstance(stage, TimelineStage)}
    assert pictures == COVERED, "write a class below for the new stage"


class TestTestStages(StageContract):
    @pytest.fixture(params=sorted(STAGES))
    def stage(self, request: pytest.FixtureRequest) -> Stage[Any]:
        return STAGES[request.param](AmountOptions())

    @pytest.fixture(params=["average", "luma-average", "mute", "blur", "stretch"])
    def off(self, request: pytest.FixtureRequest) -> Stage[Any]:
        return STAGES[request.param](AmountOptions(amount=0))

    def check_off(self, off: Stage[Any], frames: Sequence[Frame], done: Sequence[Frame], format: VideoFormat) -> None:
        if off.domain == "rgb" and format.pixel.model == "yuv":
            return  # subsampled chroma comes back near, not equal
        if format.pixel.is_float or (off.domain == "chroma" and format.pixel.model == "rgb"):
            for before, after in zip(frames, done, strict=True):
                pairs = zip(before.planes, after.planes, strict=True)
                near = 1e-5 if format.pixel.is_float else 1
                assert all(np.allclose(a.astype(float), b.astype(float), atol=near) for a, b in pairs)
            return
        assert same(done, frames)


class UpscaleContract(StageContract):
    options: dict[str, Any]

    def check_off(self, off: Stage[Any], frames: Sequence[Frame], done: Sequence[Frame], format: VideoFormat) -> None:
        """A plain antialiased bicubic resample, in RGB."""
        converter = Converter(torch.device("cpu"))
        after = off.output_format(format)
        for frame, result in zip(frames, done, strict=True):
            rgb = converter.pixels(converter.upload([(0, frame)], format), "rgb")
            wanted = F.interpolate(rgb, (after.height, after.width), mode="bicubic", antialias=True)
            [picture] = converter.upload([(0, frame)], format)
            [plain] = converter.download([converter.replaced(picture, wanted[0], None, "rgb", after)], after)
            assert same([plain], [result])


class TestUpscale(UpscaleContract):
    @pytest.fixture
    def stage(self, tiny_network: Path) -> Stage[Any]:
        return build_stage("upscale", {"model": str(tiny_network)})

    @pytest.fixture
    def off(self, tiny_network: Path) -> Stage[Any]:
        return build_stage("upscale", {"model": str(tiny_network), "strength": 0, "scale": 1.5})

    @pytest.mark.parametrize("tile", [64, 70, 128])
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_tiles_do_not_show(self, tiny_network: Path, tile: int, precision: str) -> None:
        check_tiles({"model": str(tiny_network)}, tile, precision)


class TestUpscaleToSize(UpscaleContract):
    """Reels, told how bad they are, enlarged to a size the network does not make by itself."""

    pix_fmts = ("yuv420p", "gray")

    @pytest.fixture
    def stage(self, tiny_reel: Path) -> Stage[Any]:
        return build_stage("upscale", {"model": str(tiny_reel), "height": 75, "strength": 0.5})

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_tiles_do_not_show(self, tiny_reel: Path, precision: str) -> None:
        check_tiles({"model": str(tiny_reel), "blur": 0.4, "noise": 0.2, "compression": 0.7}, 64, precision)

    def test_size_and_shape_of_pixels(self, tiny_reel: Path) -> None:
        format = video_format("yuv420p", 720, 576)
        for options, size, aspect in (
            ({"height": 1080}, (1350, 1080), 1),
            ({"width": 1440}, (1440, 1152), 1),
            ({"width": 1920, "height": 1080}, (1920, 1080), (45, 64)),
            ({"scale": 1.01}, (727, 582), 1),
            ({}, (1440, 1152), 1),
        ):
            after = build_stage("upscale", {"model": str(tiny_reel), **options}).output_format(format)
            assert (after.width, after.height) == size
            expected = aspect[0] / aspect[1] if isinstance(aspect, tuple) else aspect
            assert float(after.sample_aspect) == pytest.approx(expected)


def check_tiles(options: dict[str, Any], tile: int, precision: str) -> None:
    """A tile whose overlap reaches as far as the network changes no pixel."""
    from dataclasses import replace

    from restore.frames import FrameBatch

    format = video_format("gbrp", 150, 131)
    pixels = torch.rand((2, 3, 131, 150), generator=torch.Generator().manual_seed(1))
    batch = FrameBatch(pixels, (0, 1), slice(0, 2), (True, True), 0, format)
    done = []
    for size, count in ((None, 2), (tile, 2), (tile, 1)):
        stage = build_stage("upscale", {**options, "tile": size})
        stage.check(format)
        with stage, torch.inference_mode():
            stage.open(replace(CPU, precision=precision), format)
            part = replace(batch, pixels=pixels[:count], core=slice(0, count))
            done.append(stage.process(part, stage.told({})))
    assert torch.equal(done[0], done[1])
    assert torch.equal(done[0][:1], done[2])


def test_pictures_keep_their_precision_between_stages() -> None:
    """Two stages in a row on 8-bit luma lose nothing in between; the last one rounds."""
    format = video_format("gray", 32, 8)
    [frame] = frames_of(format, 1)
    converter = Converter(torch.device("cpu"))
    [picture] = converter.upload([(0, frame)], format)
    darker = converter.pixels([picture], "luma")[0] * 0.01
    picture = converter.replaced(picture, darker, None, "luma", format)
    back = converter.pixels([picture], "luma")[0] * 100
    picture = converter.replaced(picture, back, None, "luma", format)
    assert same(converter.download([picture], format), [frame])


def test_a_deeper_output_does_not_touch_chroma() -> None:
    """8-bit 4:2:0 to 10-bit 4:2:0: each sample times four, never up and down again."""
    format, target = video_format("yuv420p"), video_format("yuv420p10le")
    [frame] = frames_of(format, 1)
    converter = Converter(torch.device("cpu"))
    [done] = converter.download(converter.upload([(0, frame)], format), target)
    assert all(np.array_equal(a.astype(int) * 4, b) for a, b in zip(frame.planes, done.planes, strict=True))


def test_alpha_goes_along(tiny_network: Path) -> None:
    format = video_format("gbrap")
    [frame] = frames_of(format, 1)
    stage = build_stage("upscale", {"model": str(tiny_network), "strength": 0})
    [done] = StageContract().render(stage, [frame], format)
    assert len(done.planes) == 4
    assert done.planes[3].shape == (64, 80)
    assert PixelFormat.parse("gbrap").alpha


class TestDedust(StageContract):
    name = "dedust"


class TestRefade(StageContract):
    name = "refade"
    given: ClassVar[dict[str, Any]] = {"sensitivity": 1}


class TestRetouch(StageContract):
    name = "retouch"
    given: ClassVar[dict[str, Any]] = {"sensitivity": 1}


class TestReage(StageContract):
    """Over noise, in which a face is said to be: nothing finds one there."""

    @pytest.fixture
    def stage(self) -> Stage[Any]:
        options = {"from_age": 60, "to": "0=25,1=70", "hair_color": "#402010", "test_material": "the contract"}
        return build_stage("reage", options)

    @pytest.fixture
    def off(self) -> Stage[Any]:
        return build_stage("reage", {"strength": 0, "test_material": "the contract"})

    def values(self, stage: Stage[Any], frames: Sequence[Frame], format: VideoFormat) -> dict[str, Any]:
        found = face_plan([(20.0, 13.0)] * len(frames), 12.0, (format.width, format.height))
        return stage.told({**found, "actor": [0]})


class TestColorize(StageContract):
    """Grey, which gets planes it did not have, is held to the contract in `test_colorize.py`."""

    pix_fmts = ("yuv420p", "yuv422p10le", "gbrp", "gbrpf32le")

    def build(self, folder: Path, **options: Any) -> Stage[Any]:
        path = folder / "hints.json"
        path.write_text('{"hints": [{"at": 0, "color": "#804020", "points": [[10, 10], [30, 20]]}]}')
        return build_stage("colorize", {"model": "none", "recolor": True, "hints": str(path), **options})

    @pytest.fixture
    def stage(self, tmp_path: Path) -> Stage[Any]:
        return self.build(tmp_path)

    @pytest.fixture
    def off(self, tmp_path: Path) -> Stage[Any]:
        return self.build(tmp_path, strength=0)

    def check_off(self, off: Stage[Any], frames: Sequence[Frame], done: Sequence[Frame], format: VideoFormat) -> None:
        if format.pixel.model == "yuv":
            assert same(done, frames)
            return
        for before, after in zip(frames, done, strict=True):  # RGB goes to luma and chroma and back
            pairs = zip(before.planes, after.planes, strict=True)
            near = 1e-5 if format.pixel.is_float else 1
            assert all(np.allclose(a.astype(float), b.astype(float), atol=near) for a, b in pairs)
