"""A track's way through the sound stages: windows, batches, one stage after another, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

import torch

from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioStage, State
from restore.pipeline.contract import Device

_AT_ONCE = 1 << 22
"""Samples, of all channels, that a batch has at most, unless a single chunk has more: eight chunks of 48 kHz stereo.
What comes out does not depend on it."""
_FADE_SECONDS = 0.01

ReadChunks = Callable[[range], Iterable[torch.Tensor]]
"""Chunks by number, in order: (channels, chunk) float32 each, zero behind the end of the track."""


_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def alone() -> None:
    """Let a new thread compute by itself: its neighbours have the other cores.

    PyTorch counts threads for each of them, but keeps the last number that was set for those that come later.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    later = Thread(target=torch.set_num_threads, args=(before,))
    later.start()
    later.join()


@dataclass(frozen=True)
class Stretch:
    """Samples [start, stop) of a track for which a person changed some options of a stage."""

    start: int
    stop: int
    stage: AudioStage[Any]


class _Layer:
    """One stage at work."""

    def __init__(self, stage: AudioStage[Any], state: State, stretches: Sequence[Stretch], chain: SoundChain) -> None:
        self.stage, self.state, self.stretches = stage, state, stretches
        self.chain = chain
        format = chain.format
        needed = [worker.window(format) for worker in (stage, *(s.stage for s in stretches)) if not worker.idle]
        self.before = max((window.before for window in needed), default=0)
        self.after = max((window.after for window in needed), default=0)

    def open(self) -> None:
        for stage in (self.stage, *(stretch.stage for stretch in self.stretches)):
            if not stage.idle:
                stage.open(self.chain.device, self.chain.format, self.state)

    def close(self) -> None:
        for stage in (self.stage, *(stretch.stage for stretch in self.stretches)):
            stage.close()

    def render(self, read: ReadChunks, wanted: range) -> Iterator[torch.Tensor]:
        """Chunks `wanted` of what the stage makes of the chunks that `read` gives."""
        size, count = self.chain.format.chunk, self.chain.count
        early, late = -(-self.before // size), -(-self.after // size)  # chunks that the window reaches into
        numbers = range(max(0, wanted.start - early), min(count, wanted.stop + late))
        arriving = iter(read(numbers))
        held: dict[int, torch.Tensor] = {}
        arrived = numbers.start
        for first in range(wanted.start, wanted.stop, self.chain.batch):
            stop = min(first + self.chain.batch, wanted.stop)
            for number in range(arrived, min(stop + late, count)):
                held[number] = next(iter(arriving))
                arrived = number + 1
            for number in [number for number in held if number < first - early]:
                del held[number]
            yield from self._batch(held, first, stop)

    def _batch(self, held: dict[int, torch.Tensor], first: int, stop: int) -> list[torch.Tensor]:
        """Chunks [first, stop), in equal parts side by side where there are several threads."""
        each = -(-(stop - first) // self.chain.threads)
        parts = [(place, min(place + each, stop)) for place in range(first, stop, each)]
        done = self.chain.side_by_side(lambda part: self._part(held, *part), parts)
        return [chunk for part in done for chunk in part]

    @torch.inference_mode()
    def _part(self, held: dict[int, torch.Tensor], first: int, stop: int) -> list[torch.Tensor]:
        format, length = self.chain.format, self.chain.length
        size = format.chunk
        strip = torch.zeros(format.channels, self.before + (stop - first) * size + self.after)
        for number, chunk in held.items():
            at = (number - first) * size + self.before
            begin, end = max(at, 0), min(at + size, strip.shape[1])
            if begin < end:
                strip[:, begin:end] = chunk[:, begin - at : end - at]
        strip = strip.to(self.chain.device.torch_device)
        samples = strip.unfold(1, self.before + size + self.after, size).transpose(0, 1)
        batch = AudioBatch(
            samples,
            tuple(range(first * size, stop * size, size)),
            slice(self.before, self.before + size),
            length,
            format,
        )
        made = self._apply(self.stage, batch)
        for stretch in self.stretches:
            made = self._stretched(stretch, batch, made)
        made = made.cpu()
        beyond = max(0, stop * size - length)
        if beyond:
            made[-1, :, size - beyond :] = 0
        return list(made)

    def _apply(self, stage: AudioStage[Any], batch: AudioBatch) -> torch.Tensor:
        """The core samples as one stage makes them, given no more context than it asked for."""
        if stage.idle:
            return batch.samples[:, :, batch.core].clone()
        window = stage.window(batch.format)
        first, last = batch.core.start - window.before, batch.core.stop + window.after
        core = slice(window.before, window.before + batch.format.chunk)
        samples = batch.samples[:, :, first:last].contiguous()
        return stage.process(AudioBatch(samples, batch.starts, core, batch.length, batch.format))

    def _stretched(self, stretch: Stretch, batch: AudioBatch, made: torch.Tensor) -> torch.Tensor:
        size = batch.format.chunk
        half = max(1, round(_FADE_SECONDS * batch.format.rate / 2))
        touched = [
            place
            for place, start in enumerate(batch.starts)
            if start < stretch.stop + half and start + size > stretch.start - half
        ]
        if not touched:
            return made
        some = AudioBatch(
            batch.samples[touched],
            tuple(batch.starts[place] for place in touched),
            batch.core,
            batch.length,
            batch.format,
        )
        other = self._apply(stretch.stage, some)
        at = torch.tensor(some.starts, device=made.device)[:, None] + torch.arange(size, device=made.device)
        share = torch.ones(at.shape, device=made.device)
        if stretch.start > 0:
            share = share * ((at - stretch.start + half) / (2 * half)).clamp(0, 1)
        if stretch.stop < batch.length:
            share = share * ((stretch.stop + half - at) / (2 * half)).clamp(0, 1)
        made = made.clone()
        made[touched] = torch.lerp(made[touched], other, share[:, None, :])
        return made


class SoundChain:
    """Stages in order, over one track. A context manager: stages are opened and closed with it.

    Args:
        stages: in order.
        states: what their analyzers found.
        format: of the track.
        length: of the track, in samples.
        device: where to compute.
        stretches: for each stage, what a person changed for stretches of time.
        batch: chunks a batch; as many as memory allows if not given.
    """

    def __init__(
        self,
        stages: Sequence[AudioStage[Any]],
        states: Sequence[State],
        format: AudioFormat,
        length: int,
        device: Device,
        stretches: Sequence[Sequence[Stretch]] = (),
        batch: int | None = None,
    ) -> None:
        self.format, self.length, self.device = format, length, device
        self.batch = batch or max(1, _AT_ONCE // (format.channels * format.chunk))
        self.count = -(-length // format.chunk)
        changed = stretches or [()] * len(stages)
        self._layers = [
            _Layer(stage, state, edits, self) for stage, state, edits in zip(stages, states, changed, strict=True)
        ]
        self.threads = torch.get_num_threads() if device.torch_device.type == "cpu" else 1
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> SoundChain:
        for layer in self._layers:
            layer.open()
        if self.threads > 1:
            self._pool = ThreadPoolExecutor(self.threads, "sound", alone)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        for layer in self._layers:
            layer.close()

    def side_by_side(self, work: Callable[[_Item], _Made], items: Sequence[_Item]) -> list[_Made]:
        """What `work` makes of each item, in order."""
        if self._pool is None or len(items) < 2:
            return [work(item) for item in items]
        return list(self._pool.map(work, items))

    def render(self, read: ReadChunks, wanted: range) -> Iterator[torch.Tensor]:
        """Chunks `wanted` behind the last stage; `read` is asked for these and what the windows need around them."""
        for layer in self._layers:
            read = _piped(layer, read)
        yield from read(wanted)


def _piped(layer: _Layer, read: ReadChunks) -> ReadChunks:
    if layer.stage.idle and not layer.stretches:
        return read
    return lambda wanted: layer.render(read, wanted)
