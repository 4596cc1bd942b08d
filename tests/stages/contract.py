"""The contract every stage keeps, as a suite: subclass `StageContract`, name the stage, give it options if need be.

class TestDenoise(StageContract):
    name = "denoise"
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from restore.frames import ColorInfo, Frame, PixelFormat, Shot, VideoFormat
from restore.pipeline.chain import Chain
from restore.pipeline.contract import Device, Stage
from restore.pipeline.index import FrameIndex
from restore.stages import build_stage

CPU = Device(torch.device("cpu"), "fp32")


def video_format(pix_fmt: str, width: int = 40, height: int = 32) -> VideoFormat:
    pixel = PixelFormat.parse(pix_fmt)
    matrix, level = ("gbr", "full") if pixel.model == "rgb" else ("bt470bg", "limited")
    color = ColorInfo("bt470bg", "smpte170m", matrix, level)
    return VideoFormat(width, height, pixel, color, Fraction(1, 25), Fraction(25))


def frames_of(format: VideoFormat, count: int, seed: int = 0) -> list[Frame]:
    """Random frames that use the whole range of their samples."""
    rng = np.random.default_rng(seed)
    pixel = format.pixel
    shapes = [pixel.plane_size(plane, format.width, format.height) for plane in range(pixel.plane_count)]
    if pixel.is_float:
        return [Frame(n, tuple(rng.random(shape, np.float32) for shape in shapes)) for n in range(count)]
    peak = 2**pixel.depth
    return [Frame(n, tuple(rng.integers(0, peak, shape).astype(pixel.dtype) for shape in shapes)) for n in range(count)]


def same(first: Sequence[Frame], second: Sequence[Frame]) -> bool:
    return [f.pts for f in first] == [f.pts for f in second] and all(
        np.array_equal(a, b)
        for f, g in zip(first, second, strict=True)
        for a, b in zip(f.planes, g.planes, strict=True)
    )


class StageContract:
    """What DESIGN.md promises of every stage."""

    pix_fmts: ClassVar[tuple[str, ...]] = ("yuv420p", "yuv422p10le", "gray", "gbrp", "gbrpf32le")
    count: ClassVar[int] = 7

    name: ClassVar[str] = ""
    given: ClassVar[dict[str, Any]] = {}
    """Options of the stage."""

    @pytest.fixture
    def stage(self) -> Stage[Any]:
        return build_stage(self.name, self.given)

    @pytest.fixture
    def off(self) -> Stage[Any] | None:
        """The stage at strength 0; None if it has no strength."""
        return build_stage(self.name, {**self.given, "strength": 0}) if self.name else None

    @pytest.fixture(params=["yuv420p", "yuv422p10le", "gray", "gbrp", "gbrpf32le"])
    def format(self, request: pytest.FixtureRequest) -> VideoFormat:
        if request.param not in self.pix_fmts:
            pytest.skip(f"the stage does not work on {request.param}")
        return video_format(request.param)

    def values(self, stage: Stage[Any], frames: Sequence[Frame], format: VideoFormat) -> dict[str, Any]:
        """The plan of one shot of these frames, as the stage's own analyzer makes it."""
        analyzer = stage.analyzer()
        found: dict[str, Any] = {}
        if analyzer is not None:
            shot = Shot(0, 0, len(frames))
            chain = Chain((stage,), format, stage.output_format(format), CPU)
            times = np.arange(len(frames))
            analyzer.film(FrameIndex(times, times < 0, times == 0, Fraction(1, 25), Fraction(25), 1))
            analyzer.open(CPU)
            wanted = analyzer.wanted(shot)
            assert wanted, "an analyzer that looks at nothing finds nothing"
            assert min(wanted) >= shot.start
            assert max(wanted) < shot.end
            found = chain.findings(analyzer, 0, lambda r: [frames[n] for n in r], shot, [])
            arrays = dict(analyzer.arrays())
            if arrays:
                found["arrays"] = arrays
        if stage.film_wide:
            [found] = stage.settle([found])
        return stage.told(found)

    def render(
        self, stage: Stage[Any], frames: Sequence[Frame], format: VideoFormat, *, batch: int = 1,
        pieces: Sequence[int] = (), shots: Sequence[int] = (), values: dict[str, Any] | None = None,
    ) -> list[Frame]:  # fmt: skip
        """All frames through the stage: in shots with cuts at `shots`, and in segments that begin at `pieces`."""
        stage = pickle.loads(pickle.dumps(stage))
        stage.check(format)
        chain = Chain((stage,), format, stage.output_format(format), CPU, batch=batch)
        borders, cuts = sorted({0, *pieces, *shots, len(frames)}), [0, *shots, len(frames)]
        told = self.values(stage, frames, format) if values is None else values

        def read(wanted: range) -> Iterable[Frame]:
            return [frames[number] for number in wanted]

        done: list[Frame] = []
        with chain:
            for first, stop in zip(borders, borders[1:], strict=False):
                number = max(place for place, cut in enumerate(cuts) if cut <= first)
                shot = Shot(number, cuts[number], cuts[number + 1])
                done += chain.render(read, shot, range(first, stop), [told])
        return done

    def test_count_order_and_size(self, stage: Stage[Any], format: VideoFormat) -> None:
        frames = frames_of(format, self.count)
        done = self.render(stage, frames, format)
        after = stage.output_format(format)
        assert [frame.pts for frame in done] == list(range(self.count))
        for frame in done:
            sizes = [after.pixel.plane_size(p, after.width, after.height) for p in range(after.pixel.plane_count)]
            assert [plane.shape for plane in frame.planes] == sizes
            assert {plane.dtype for plane in frame.planes} == {after.pixel.dtype}

    def test_batches_segments_and_threads(self, stage: Stage[Any], format: VideoFormat) -> None:
        frames = frames_of(format, self.count)
        told = self.values(stage, frames, format)
        reference = self.render(stage, frames, format, values=told)
        assert same(self.render(stage, frames, format, batch=4, values=told), reference)
        assert same(self.render(stage, frames, format, batch=3, pieces=(1, 2, 6), values=told), reference)
        torch.set_num_threads(2)
        try:
            assert same(self.render(stage, frames, format, batch=4, values=told), reference)
        finally:
            torch.set_num_threads(1)

    def test_a_cut_leaks_nothing(self, stage: Stage[Any], format: VideoFormat) -> None:
        first, second = frames_of(format, 3, seed=1), frames_of(format, 4, seed=2)
        second = [replace(frame, pts=frame.pts + 3) for frame in second]
        others = [replace(frame, pts=frame.pts + 3) for frame in frames_of(format, 4, seed=3)]
        told = self.values(stage, first, format)
        whole = self.render(stage, [*first, *second], format, shots=(3,), batch=2, values=told)
        changed = self.render(stage, [*first, *others], format, shots=(3,), batch=2, values=told)
        assert same(whole[:3], changed[:3])
        assert same(whole[:3], self.render(stage, first, format, values=told))

    def test_the_input_is_left_alone(self, stage: Stage[Any], format: VideoFormat) -> None:
        frames = frames_of(format, 3)
        kept = [tuple(plane.copy() for plane in frame.planes) for frame in frames]
        self.render(stage, frames, format)
        assert all(
            np.array_equal(a, b) for f, k in zip(frames, kept, strict=True) for a, b in zip(f.planes, k, strict=True)
        )

    def test_range_is_kept(self, stage: Stage[Any], format: VideoFormat) -> None:
        """Flat black and flat white stay within a fifth of what they were: nothing is scaled twice, or not at all."""
        if format.pixel.model == "yuv":
            unit = 2 ** (format.pixel.depth - 8)
            flats = [(16 * unit, 128 * unit, 128 * unit), (235 * unit, 128 * unit, 128 * unit)]
        else:
            peak = 1.0 if format.pixel.is_float else 2**format.pixel.depth - 1
            flats = [(0,) * format.pixel.plane_count, (peak,) * format.pixel.plane_count]
        for levels in flats:
            planes = tuple(
                np.full(format.pixel.plane_size(place, format.width, format.height), level, format.pixel.dtype)
                for place, level in enumerate(levels)
            )
            [done] = self.render(stage, [Frame(0, planes)], format)
            scale = 1.0 if format.pixel.is_float else 2.0**format.pixel.depth
            for plane, level in zip(done.planes, levels, strict=True):
                assert abs(float(plane.astype(np.float64).mean()) - level) < 0.2 * scale

    def test_declarations(self, stage: Stage[Any], format: VideoFormat) -> None:
        window = stage.window()
        assert window.before >= 0 <= window.after
        again = pickle.loads(pickle.dumps(stage))
        assert again.options == stage.options
        stage.check(format)
        assert stage.output_format(format) == stage.output_format(format)
        assert all(isinstance(name, str) and isinstance(digest, str) for name, digest in stage.weights().items())
        assert stage.options.effective() == type(stage.options).model_validate(stage.options.model_dump()).effective()
        with stage:
            stage.open(CPU, format)
        stage.close()  # twice does no harm

    def test_idle_means_that_nothing_changes(
        self, off: Stage[Any] | None, format: VideoFormat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if off is None or not off.idle(told := self.values(off, frames := frames_of(format, 3), format)):
            pytest.skip("the stage is never idle")
        left_out = self.render(off, frames, format, values=told)
        monkeypatch.setattr(type(off), "idle", lambda *_: False)
        assert same(self.render(off, frames, format, values=told), left_out)

    def test_strength_nought(self, off: Stage[Any] | None, format: VideoFormat) -> None:
        if off is None:
            pytest.skip("the stage has no strength")
        frames = frames_of(format, 2)
        self.check_off(off, frames, self.render(off, frames, format), format)

    def check_off(self, off: Stage[Any], frames: Sequence[Frame], done: Sequence[Frame], format: VideoFormat) -> None:
        """Overridden by stages that change the size."""
        assert same(done, frames)
