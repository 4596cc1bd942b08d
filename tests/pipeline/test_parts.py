"""The pipeline's parts: the frame list, reading and writing in threads, batches, running out of memory."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from material.films import samples, write_film
from material.stages import AmountOptions, Average

import restore
from restore.errors import DeviceMemoryError, OptionError, PlanError, SourceError
from restore.frames import ColorInfo, Frame, FrameBatch, PixelFormat, Shot, VideoFormat
from restore.media.options import OutputOptions
from restore.media.source import VideoSource
from restore.pipeline.chain import BatchSize, Chain
from restore.pipeline.contract import Device, Values
from restore.pipeline.index import FrameIndex
from restore.pipeline.prefetch import Drain, Prefetch
from restore.pipeline.reader import FrameReader
from restore.recipe import Recipe

CPU = Device(torch.device("cpu"), "fp32")
FORMAT = VideoFormat(8, 8, PixelFormat("gray", 8), ColorInfo(), Fraction(1, 25), Fraction(25))


def index_of(
    pts: list[int], base: Fraction = Fraction(1, 1000), corrupt: tuple[int, ...] = (), errors: int = 0
) -> FrameIndex:
    flags = np.isin(np.arange(len(pts)), corrupt)
    keys = np.arange(len(pts)) % 12 == 0
    return FrameIndex(np.array(pts, np.int64), flags, keys, base, Fraction(25), 0, errors)


def test_an_index_survives_the_disk(tmp_path: Path) -> None:
    index = replace(
        index_of([3, 43, 83, 200], corrupt=(2,), errors=4), frame_rate=Fraction(24000, 1001), seekable=False
    )
    index.save(tmp_path / "frames.npz")
    again = FrameIndex.load(tmp_path / "frames.npz")
    assert again.pts.tolist() == [3, 43, 83, 200]
    assert again.corrupt.tolist() == [False, False, True, False]
    assert (again.time_base, again.frame_rate, again.decode_errors, again.seekable) == (
        Fraction(1, 1000), Fraction(24000, 1001), 4, False
    )  # fmt: skip
    content = (tmp_path / "frames.npz").read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 1):
        (tmp_path / "frames.npz").write_bytes(content[:length])
        with pytest.raises(PlanError, match="delete it and run again"):
            FrameIndex.load(tmp_path / "frames.npz")


@given(st.integers(0, 199), st.integers(-5, 5))
def test_finding_frames(number: int, drift: int) -> None:
    """A time copied from a display that rounds to milliseconds finds its frame, whatever the film's first time is."""
    index = index_of([1000 + 40 * n for n in range(200)])
    assert index.find(f"{number}f") == number
    assert index.find(max(0, number * 0.04 + drift / 1000)) == number
    assert index.find(999) == len(index)


def test_damage_is_named() -> None:
    even = [40 * n for n in range(100)]
    assert index_of(even).damaged() == []
    [found] = index_of(even, corrupt=(10, 11, 12)).damaged()
    assert (found.start, found.end, found.frames, found.kind) == (Fraction(2, 5), Fraction(13, 25), 3, "corrupt")
    hole = even[:30] + even[40:]
    [found] = index_of(hole).damaged()
    assert (found.start, found.end, found.frames, found.kind) == (Fraction(6, 5), Fraction(8, 5), 0, "missing")
    [found] = index_of(even, errors=1).damaged()
    assert found.start == found.end == 4, "errors and nothing to show for them: the end is missing"
    rng = np.random.default_rng(0)
    uneven = np.cumsum(rng.integers(20, 120, 100)).tolist()
    assert index_of(uneven).damaged() == [], "a variable rate is no damage"
    assert index_of([0, 40, 2000]).damaged() == []


def test_reading_ahead_passes_errors_and_stops() -> None:
    def numbers() -> Iterator[int]:
        yield from range(5)
        raise OSError("the disk went away")

    stream = Prefetch(numbers(), 2)
    assert [next(stream) for _ in range(5)] == list(range(5))
    for _ in range(2):
        with pytest.raises(OSError, match="went away"):
            next(stream)
    stream.close()
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    stream = Prefetch(endless(), 2)
    next(stream)
    before = threading.active_count()
    stream.close()
    assert closed.is_set()
    assert threading.active_count() == before - 1


def test_writing_behind_passes_errors() -> None:
    written: list[int] = []

    def slow(item: int) -> None:
        time.sleep(0.001)
        if item == 3:
            raise OSError("no room")
        written.append(item)

    def put_all() -> None:
        with Drain(slow, 2) as drain:
            for item in range(50):
                drain.put(item)

    with pytest.raises(OSError, match="no room"):
        put_all()
    assert written == [0, 1, 2]

    def interrupted() -> None:
        with Drain(slow, 2) as drain:
            drain.put(0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 20)), max_size=8))
def test_frames_are_read_in_any_order(reader_of: Any, ranges: list[tuple[int, int]]) -> None:
    reader, expected = reader_of
    for start, length in ranges:
        wanted = range(start, min(100, start + length))
        assert [frame.planes[0].tobytes() for frame in reader.read(wanted)] == [expected[n] for n in wanted]


@pytest.fixture(scope="module")
def reader_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FrameReader, list[bytes]]]:
    path = write_film(tmp_path_factory.mktemp("film") / "in.mp4", 100, codec="libx264", options={"g": "12", "bf": "3"})
    source = VideoSource(path)
    frames = list(source.frames())
    index = FrameIndex(
        np.array([frame.pts for frame in frames]), np.zeros(100, bool), np.array([frame.key for frame in frames]),
        source.format.time_base, source.format.frame_rate, 0,
    )  # fmt: skip
    reader = FrameReader(source, index, remember=3)
    yield reader, [frame.planes[0].tobytes() for frame in frames]
    reader.close()


def test_a_source_that_changed_meanwhile(tmp_path: Path) -> None:
    source = VideoSource(write_film(tmp_path / "in.mkv", 10))
    reader = FrameReader(source, index_of([40 * n for n in range(12)]))
    with pytest.raises(SourceError, match="ends early at frame 10"):
        list(reader.read(range(12)))
    reader.close()
    reader = FrameReader(source, index_of([41 * n for n in range(10)]))
    with pytest.raises(SourceError, match="shows pts 40 at frame 1"):
        list(reader.read(range(10)))
    reader.close()


def test_batches_grow_while_it_pays() -> None:
    for cost, settled in ((lambda n: 1.0, 1), (lambda n: n**0.5, 32), (lambda n: max(1.0, n / 4), 4)):
        batch = BatchSize()
        for _ in range(60):
            batch.measured(batch.size, cost(batch.size) if settled != 1 else float(batch.size))
        assert batch.size == settled
    assert BatchSize(3).size == 3
    batch = BatchSize(largest=2)
    for _ in range(60):
        batch.measured(batch.size, 1.0)
    assert batch.size == 2
    batch.failed()
    assert batch.size == 1


class Greedy(Average):
    """Runs out of memory whenever it is given more than two frames."""

    most = 2
    calls: list[int] = []  # noqa: RUF012

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        self.calls.append(len(batch))
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().process(batch, values)


def frames(count: int) -> list[Frame]:
    rng = np.random.default_rng(0)
    return [Frame(n, (rng.integers(0, 255, (8, 8)).astype(np.uint8),)) for n in range(count)]


def through(stage: Average, batch: int | None) -> list[bytes]:
    source = frames(20)
    with Chain((stage,), FORMAT, FORMAT, CPU, batch=batch) as chain:
        done = chain.render(lambda wanted: [source[n] for n in wanted], Shot(0, 0, 20), range(20), [{}])
        return [frame.planes[0].tobytes() for frame in done]


def test_out_of_memory_halves_the_batch_and_drops_nothing() -> None:
    Greedy.calls.clear()
    assert through(Greedy(AmountOptions()), 8) == through(Average(AmountOptions()), 1)
    assert Greedy.calls[:3] == [8, 4, 2]
    assert max(Greedy.calls[3:]) == 2


def test_out_of_memory_with_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Greedy, "most", 0)
    with pytest.raises(DeviceMemoryError, match="--tile"):
        through(Greedy(AmountOptions()), 4)


def test_another_error_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(Average, "process", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        through(Average(AmountOptions()), 4)


def test_a_stage_that_breaks_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Average, "process", lambda self, batch, values: batch.pixels)
    with pytest.raises(RuntimeError, match="stage average returned"):
        through(Average(AmountOptions()), 4)


def test_upscaling_in_halved_tiles(tiny_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory inside the network: the tile is halved until it fits, and the pixels are the same."""
    from restore.stages.upscale.network import NetworkRunner

    picture = np.random.default_rng(0).integers(0, 255, (1, 300, 280, 3)).astype(np.uint8)
    whole = restore.apply("upscale", picture, model=str(tiny_network))
    run, sizes = NetworkRunner._run, []

    def limited(self: NetworkRunner, pixels: torch.Tensor, apply: Any) -> torch.Tensor:
        sizes.append(max(pixels.shape[-2:]))
        if sizes[-1] > 110:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )
        return run(self, pixels, apply)

    monkeypatch.setattr(NetworkRunner, "_run", limited)
    assert np.array_equal(restore.apply("upscale", picture, model=str(tiny_network)), whole)
    assert sizes[0] == 300
    monkeypatch.setattr("restore.stages.upscale.network.overlaps_enough", lambda loaded: False)
    with pytest.raises(DeviceMemoryError, match="--tile"):
        restore.apply("upscale", picture, model=str(tiny_network))


def test_listing_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the middle of the listing: what was listed is kept, and the cuts are the same."""
    cuts = (40, 95, 99, 150)
    source = write_film(tmp_path / "in.mp4", 200, cuts, codec="libx264", options={"g": "24"})
    plain = Recipe(Recipe.of("upscale", strength=0).stages, output=OutputOptions(codec="ffv1"))
    for stop_at in (30, 75):
        calls = iter(range(10**6))
        with pytest.raises(restore.errors.CancelledError):
            restore.run(source, tmp_path / "out.mkv", plain, cancel=lambda: next(calls) >= stop_at)  # noqa: B023
    assert 90 < len(FrameIndex.load(tmp_path / "out.mkv.restore/plan/partial.npz")) < 110
    restore.run(source, tmp_path / "out.mkv", plain)
    assert not list((tmp_path / "out.mkv.restore/plan").glob("partial*"))
    shots = restore.shots(source, tmp_path / "out.mkv.restore")
    assert [shot.start_frame for shot in shots] == [0, *cuts]
    restore.run(source, tmp_path / "calm.mkv", plain)
    assert samples(tmp_path / "out.mkv") == samples(tmp_path / "calm.mkv")


def test_edits_of_another_rate() -> None:
    with pytest.raises(OptionError):
        index_of([0, 40, 80]).find("00:00:00:30")


@pytest.mark.timeout(240)
def test_memory_does_not_grow(tmp_path: Path) -> None:
    """100 and 800 frames; scripts/bench_memory.py measures 300 and 3,000 to the percent."""
    script = Path(__file__).parents[2] / "scripts/bench_memory.py"
    done = subprocess.run(
        [sys.executable, str(script), "--frames", "100", "800", "--size", "64x48", "--", "--strength", "0"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    growth = float(done.stdout.splitlines()[0].split(";")[-1].rstrip(" %"))
    assert growth < 8, done.stdout
