"""Frames through the stages: windows that respect cuts, batches of the size that proves fastest."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from threading import Lock
from typing import Any

import torch

from restore.errors import DeviceMemoryError
from restore.frames import Frame, FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Stage, Values
from restore.pipeline.picture import Converter, Picture
from restore.pipeline.prefetch import Prefetch
from restore.pipeline.strip import Strip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host ran out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


_BATCH_BYTES = 1 << 30


class BatchSize:
    """How many frames a stage is given at once. Unless fixed, found by trying: double while it pays.

    On a CPU one frame is often fastest; on a GPU many are. Measured on the real frames, so nothing is wasted; pixels
    do not depend on it.
    """

    LARGEST = 32
    _TRIES = 2
    _GAIN = 0.95

    def __init__(self, fixed: int | None = None, largest: int = LARGEST) -> None:
        self.size = fixed or 1
        self._largest = largest
        self._settled = bool(fixed)
        self._best: float | None = None
        self._times: list[float] = []

    def measured(self, frames: int, seconds: float) -> None:
        """Told how long a full batch took."""
        if self._settled or frames != self.size:
            return
        self._times.append(seconds / frames)
        if len(self._times) <= self._TRIES:  # the first run of a shape compiles and allocates: it does not count
            return
        cost = min(self._times[1:])
        self._times = []
        if self._best is not None and cost > self._best * self._GAIN:
            self.size //= 2
            self._settled = True
            return
        self._best = cost
        if self.size * 2 > self._largest:
            self._settled = True
        else:
            self.size *= 2

    def failed(self) -> None:
        """Told that the device ran out of memory: halve, for good."""
        self.size = max(1, self.size // 2)
        self._settled = True


def _most_frames(before: VideoFormat, after: VideoFormat) -> int:
    """How many frames a batch may have without taking more than `_BATCH_BYTES` as float32 RGB, in and out."""
    samples = 3 * (before.width * before.height + after.width * after.height)
    return max(1, min(BatchSize.LARGEST, _BATCH_BYTES // (4 * samples)))


class Chain:
    """Opened stages one after another, from the source's format to the output's."""

    def __init__(
        self,
        stages: Sequence[Stage[Any]],
        source: VideoFormat,
        target: VideoFormat,
        device: Device,
        transfer: str = "display",
        batch: int | None = None,
    ) -> None:
        self.stages = stages
        self.formats = [source]
        for stage in stages:
            self.formats.append(stage.output_format(self.formats[-1]))
        self.target = target
        self.device = device
        self.converter = Converter(self._home(), transfer)
        self.batches = [
            BatchSize(batch or (None if self._pays(stage) else 1), _most_frames(before, after))
            for stage, before, after in zip(stages, self.formats, self.formats[1:], strict=False)
        ]
        self.seconds: dict[str, float] = {}
        """Where the time of the computing threads went: waiting to read and to write, converting, each stage."""
        self.repaired: dict[str, list[float]] = {}
        """For each stage that repairs parts of the picture, by name: the share of each frame so far."""
        self.on_mask: Callable[[str, Picture, Picture, torch.Tensor], None] | None = None
        """Told of every frame that such a stage worked on: its name, what went in, what came out, and the mask,
        (1, H, W) bool."""
        self._clock = Lock()

    def _home(self) -> torch.device:
        """Where whole frames live between stages: on the device, unless one would take a quarter of its memory."""
        device = self.device.torch_device
        if device.type != "cuda":
            return device
        largest = max(fmt.width * fmt.height for fmt in self.formats) * 3 * 4
        total = torch.cuda.get_device_properties(device).total_memory
        return torch.device("cpu") if largest * 4 > total else device

    def _pays(self, stage: Stage[Any]) -> bool:
        """Whether batches may be quicker than frames: on a processor, networks' alone; others only take memory."""
        return self.device.torch_device.type != "cpu" or bool(stage.weights())

    def __enter__(self) -> Chain:
        opened: list[Stage[Any]] = []
        try:
            for stage, fmt in zip(self.stages, self.formats, strict=False):
                opened.append(stage)
                stage.open(self.device, fmt)
        except BaseException:
            for stage in reversed(opened):
                stage.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for stage in reversed(self.stages):
            stage.close()

    def _ranges(self, shot: Shot, core: range, stages: Sequence[Stage[Any]]) -> list[range]:
        """Which frames go into each stage, and last what comes out, so that `core` of a shot can be made."""
        needed = [core]
        for stage in reversed(stages):
            window = stage.window()
            last = needed[0]
            needed.insert(
                0, range(max(shot.start, last.start - window.before), min(shot.end, last.stop + window.after))
            )
        return needed

    def render(
        self, read: Callable[[range], Iterable[Frame]], shot: Shot, core: range, values: Sequence[Values]
    ) -> Generator[Frame]:
        """Frames `core` of a shot, finished. `read` gives source frames of a range; `values` is the plan by stage."""
        pending: list[Picture] = []
        size = max((batch.size for batch in self.batches), default=1)
        with closing(self.pictures(read, shot, core, values)) as pictures:
            for picture in pictures:
                pending.append(picture)
                if len(pending) >= size:
                    yield from self._finish(pending)
                    pending = []
            if pending:
                yield from self._finish(pending)

    def _finish(self, pictures: list[Picture]) -> list[Frame]:
        started = time.perf_counter()
        frames = self.converter.download(pictures, self.target)
        self.spent("convert", started)
        return frames

    def pictures(
        self, read: Callable[[range], Iterable[Frame]], shot: Shot, core: range, values: Sequence[Values],
        upto: int | None = None, stand_in: bool = False,
    ) -> Generator[Picture]:  # fmt: skip
        """As `render`, before conversion; `upto` stops after so many stages, `stand_in` uses their cheap doubles.

        Stages that are idle in this shot are left out. Close it, or exhaust it: on a processor, stages but the last
        work ahead in threads of their own.
        """
        busy = [place for place, stage in enumerate(self.stages[:upto]) if not stage.idle(values[place])]
        ranges = self._ranges(shot, core, [self.stages[place] for place in busy])
        pictures = self._uploaded(read, ranges[0])
        for number, place in enumerate(busy):
            if number:
                pictures = self.ahead(pictures)
            step = _Step(self, place, self.stages[place], shot, values[place], stand_in)
            pictures = step.run(pictures, ranges[number], ranges[number + 1])
        return pictures

    def ahead(self, pictures: Generator[Picture]) -> Generator[Picture]:
        """The same pictures; on a processor, made one ahead in a thread of their own."""
        if self.device.torch_device.type != "cpu":
            yield from pictures
            return
        with closing(Prefetch(pictures, 1)) as stream:
            yield from stream

    def findings(
        self,
        analyzer: Analyzer,
        place: int,
        read: Callable[[range], Iterable[Frame]],
        shot: Shot,
        values: Sequence[Values],
        check: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """What the opened analyzer of the stage at `place` finds in a shot; `check` is called before every frame."""
        upto = place if analyzer.sees == "input" else 0
        domain = analyzer.domain or self.stages[place].domain
        format = self.formats[upto]
        analyzer.begin(shot, format)
        for core in _runs(analyzer.wanted(shot)):
            made = self.pictures(read, shot, core, values, upto=upto, stand_in=True)
            with closing(self.ahead(made)) as pictures:
                for picture in pictures:
                    check()
                    pixels, *planes = self.converter.tensors([picture], domain)
                    analyzer.add(
                        FrameBatch(
                            pixels, (picture.pts,), slice(0, 1), (True,), shot.number, format, tuple(planes)
                        )
                    )  # fmt: skip
        return analyzer.finish()

    def _uploaded(self, read: Callable[[range], Iterable[Frame]], wanted: range) -> Generator[Picture]:
        size = self.batches[0].size if self.batches else 1
        waiting: list[tuple[int, Frame]] = []
        frames = iter(read(wanted))
        for index in wanted:
            started = time.perf_counter()
            frame = next(frames)
            self.spent("read", started)
            waiting.append((index, frame))
            if len(waiting) >= size:
                yield from self._upload(waiting)
                waiting = []
        if waiting:
            yield from self._upload(waiting)

    def _upload(self, frames: list[tuple[int, Frame]]) -> list[Picture]:
        started = time.perf_counter()
        pictures = self.converter.upload(frames, self.formats[0])
        self.spent("convert", started)
        return pictures

    def spent(self, what: str, started: float) -> None:
        """Add the time since `started` to what the run spent on `what`."""
        with self._clock:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started


class _Step:
    """One stage working through one stretch of a shot."""

    def __init__(
        self, chain: Chain, place: int, stage: Stage[Any], shot: Shot, values: Mapping[str, Any], stand_in: bool
    ) -> None:
        self.chain = chain
        self.stage = stage
        self.shot = shot
        self.values = values
        self.format, self.after = chain.formats[place], chain.formats[place + 1]
        self.batch = chain.batches[place]
        self.call = stage.stand_in if stand_in else stage.process
        self.strip = Strip()

    def run(self, pictures: Generator[Picture], have: range, core: range) -> Generator[Picture]:
        with closing(pictures):
            yield from self._run(pictures, have, core)

    def _run(self, pictures: Iterator[Picture], have: range, core: range) -> Generator[Picture]:
        window = self.stage.window()
        held: dict[int, Picture] = {}
        position = core.start
        while position < core.stop:
            count = min(self.batch.size, core.stop - position)
            last = min(position + count + window.after, have.stop)
            while not held or max(held) < last - 1:
                picture = next(pictures)
                held[picture.index] = picture
            done = self._process(held, position, count, have)
            if done is None:
                self.batch.failed()
                continue
            yield from done
            position += count
            for index in [index for index in held if index < position - window.before]:
                del held[index]

    def _process(self, held: dict[int, Picture], position: int, count: int, have: range) -> list[Picture] | None:
        """One batch; None if the device ran out of memory and a smaller batch may help."""
        window = self.stage.window()
        indexes = range(position - window.before, position + count + window.after)
        converter = self.chain.converter
        started = time.perf_counter()
        domain = self.stage.domain
        valid = tuple(index in have for index in indexes)
        if window == (0, 0):
            pixels, *planes = converter.tensors([held[index] for index in indexes], domain)
        else:
            pixels, *planes = self.strip.view(
                indexes, have, lambda fresh: converter.tensors([held[index] for index in fresh], domain)
            )
        pts = tuple(held[index].pts if index in held and index in have else -1 for index in indexes)
        core = slice(window.before, window.before + count)
        self.chain.spent("convert", started)
        batch = FrameBatch(pixels, pts, core, valid, self.shot.number, self.format, tuple(planes))
        started = time.perf_counter()
        try:
            with torch.inference_mode():
                result = self.call(batch, self.values)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if count == 1:
                raise DeviceMemoryError(
                    f"{self.stage.name}: out of memory on {self.chain.device.torch_device} with one frame; "
                    "close other programs, or give a smaller --tile"
                ) from None
            return None
        seconds = time.perf_counter() - started
        self.batch.measured(count, seconds)
        self.chain.spent(self.stage.name, started)
        if domain == "planes":
            self._check_shape(result[0].unsqueeze(1), count)
            return [
                converter.with_planes(held[position + n], tuple(plane[n] for plane in result), self.after)
                for n in range(count)
            ]
        pixels, mask = result if isinstance(result, tuple) else (result, None)
        self._check_shape(pixels, count)
        if mask is not None:
            shares = mask.flatten(1).float().mean(1).tolist()
            self.chain.repaired.setdefault(self.stage.name, []).extend(shares)
        made = [
            converter.replaced(held[position + n], pixels[n], None if mask is None else mask[n], domain, self.after)
            for n in range(count)
        ]
        if mask is not None and self.chain.on_mask is not None:
            for n in range(count):
                self.chain.on_mask(self.stage.name, held[position + n], made[n], mask[n])
        return made

    def _check_shape(self, pixels: torch.Tensor, count: int) -> None:
        # A stage that breaks its word is found here, not as a garbled picture.
        wanted = (self.after.height, self.after.width)
        if len(pixels) != count or (self.stage.domain != "chroma" and tuple(pixels.shape[2:]) != wanted):
            raise RuntimeError(
                f"stage {self.stage.name} returned {tuple(pixels.shape)} for {count} frames of {wanted[1]}x{wanted[0]}"
            )


def _runs(wanted: range) -> list[range]:
    """A sparse range as single frames, a dense one whole."""
    return [wanted] if abs(wanted.step) == 1 else [range(frame, frame + 1) for frame in wanted]
