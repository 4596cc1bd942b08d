"""Rendering a track in legs, each kept on disk: a stage that must hear what came before it is analysed in between.

A leg is a run of stages. What it makes lies in the job folder as segments of chunks, 32-bit float, so that no stage
works twice on the same sound: the analyzer behind a leg reads it, so does the next leg, and so does a later run that
goes on. A segment's key is a digest of everything its samples depend on; it is whole once it has its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from restore import __version__
from restore.files import whole
from restore.frames import AudioFormat
from restore.media.sound import SoundReader, SoundTrack
from restore.pipeline.audio_contract import AudioStage, State
from restore.pipeline.contract import Device
from restore.pipeline.segments import digest
from restore.pipeline.sound_chain import SoundChain, Stretch
from restore.pipeline.sound_plan import state_digest

SEGMENT = 16
"""Chunks a segment: about a minute and a half of sound."""


class Chunked(Protocol):
    """A track in chunks: as decoded, or as a leg leaves it."""

    format: AudioFormat
    length: int

    def keys(self, chunks: range) -> list[str]:
        """Digests of all that these chunks depend on."""
        ...

    def ensure(self, chunks: range, on_chunk: Callable[[], None], check: Callable[[], None]) -> None:
        """Have these chunks ready. `on_chunk` is called for each that had to be made here, `check` for each that had
        to be made by those before; both may raise to stop."""
        ...

    def read(self, chunks: range) -> Iterable[torch.Tensor]:
        """Chunks that were ensured, (channels, chunk) each, zero behind the end."""
        ...


class DecodedTrack:
    """A track as its file holds it. Reading on is quick; reading back begins at the beginning."""

    def __init__(self, path: Path, track: SoundTrack, length: int, identity: str, remember: int) -> None:
        self.path, self.track, self.format, self.length = path, track, track.format, length
        self._identity = digest({"source": identity, "stream": track.info.index})
        self._remember = remember
        self._held: dict[int, torch.Tensor] = {}
        self._arriving: Iterator[torch.Tensor] = iter(())
        self._next = -1

    def keys(self, chunks: range) -> list[str]:
        """See `Chunked.keys`."""
        return [self._identity]

    def ensure(self, chunks: range, on_chunk: Callable[[], None], check: Callable[[], None]) -> None:
        """Nothing has to be made."""

    def read(self, chunks: range) -> Iterator[torch.Tensor]:
        """See `Chunked.read`."""
        for number in chunks:
            yield self._chunk(number)

    def _chunk(self, number: int) -> torch.Tensor:
        if number in self._held:
            return self._held[number]
        if not 0 <= self._next <= number:
            self._held.clear()
            self._arriving = whole_chunks(SoundReader(self.path, self.track), self.length)
            self._next = 0
        while self._next <= number:
            self._held[self._next] = next(self._arriving)
            self._held.pop(self._next - self._remember, None)
            self._next += 1
        return self._held[number]


def chunks_of(reader: SoundReader) -> Iterator[torch.Tensor]:
    """A track as analyzers hear it: (channels, chunk) each, the last one shorter."""
    size = reader.track.format.chunk
    held: list[np.ndarray[Any, Any]] = []
    count = 0
    for block in reader.blocks():
        held.append(block)
        count += block.shape[1]
        if count < size:
            continue
        joined = np.concatenate(held, 1)
        whole = count // size * size
        for place in range(0, whole, size):
            yield torch.from_numpy(joined[:, place : place + size].copy())
        held, count = [joined[:, whole:]], count - whole
    if count:
        yield torch.from_numpy(np.concatenate(held, 1))


def whole_chunks(reader: SoundReader, length: int) -> Iterator[torch.Tensor]:
    """All chunks of a track of `length` samples, the last one filled up with zeros."""
    size, channels = reader.track.format.chunk, reader.track.format.channels
    arriving = chunks_of(reader)
    for first in range(0, length, size):
        chunk = next(arriving, torch.zeros(channels, 0))[:, : length - first]
        yield torch.nn.functional.pad(chunk, (0, size - chunk.shape[1]))


@dataclass
class Leg:
    """A run of stages behind another chunked track, with its results on disk."""

    before: Chunked
    stages: Sequence[AudioStage[Any]]
    states: Sequence[State]
    stretches: Sequence[Sequence[Stretch]]
    device: Device
    folder: Path

    def __post_init__(self) -> None:
        self.format, self.length = self.before.format, self.before.length
        workers = [[stage, *(s.stage for s in more)] for stage, more in zip(self.stages, self.stretches, strict=True)]
        windows = [[worker.window(self.format) for worker in group] for group in workers]
        size = self.format.chunk
        self.early = sum(max(-(-window.before // size) for window in group) for group in windows)
        self.late = sum(max(-(-window.after // size) for window in group) for group in windows)
        self._keys: dict[range, str] = {}
        self._facts = {
            "stages": [[facts_of(stage), state_digest(s)] for stage, s in zip(self.stages, self.states, strict=True)],
            "device": [self.device.torch_device.type, self.device.precision, torch.__version__],
            "restore": __version__,
        }

    @property
    def count(self) -> int:
        """Chunks of the track."""
        return -(-self.length // self.format.chunk)

    def _around(self, chunks: range) -> range:
        return range(max(0, chunks.start - self.early), min(self.count, chunks.stop + self.late))

    def segments(self, chunks: range) -> list[range]:
        """The segments that hold these chunks, as ranges of chunks."""
        first, stop = chunks.start // SEGMENT, -(-chunks.stop // SEGMENT)
        return [range(n * SEGMENT, min((n + 1) * SEGMENT, self.count)) for n in range(first, stop)]

    def key(self, segment: range) -> str:
        """A digest of everything that the samples of a segment depend on."""
        if segment in self._keys:
            return self._keys[segment]
        around, size = self._around(segment), self.format.chunk
        first, stop = around.start * size, around.stop * size
        edits = [
            [[s.start, s.stop, facts_of(s.stage)] for s in more if s.start < stop and s.stop > first]
            for more in self.stretches
        ]
        self._keys[segment] = digest(
            {
                **self._facts, "edits": edits, "before": self.before.keys(around), "length": self.length,
                "chunks": [segment.start, segment.stop],
            }
        )  # fmt: skip
        return self._keys[segment]

    def keys(self, chunks: range) -> list[str]:
        """See `Chunked.keys`."""
        return [self.key(segment) for segment in self.segments(chunks)]

    def path(self, segment: range) -> Path:
        """Where a segment lies."""
        return self.folder / f"{self.key(segment)[:24]}.f32"

    def is_done(self, segment: range) -> bool:
        """Whether a segment is whole on disk."""
        path = self.path(segment)
        return path.exists() and path.stat().st_size == 4 * self.format.channels * self.format.chunk * len(segment)

    def ensure(self, chunks: range, on_chunk: Callable[[], None], check: Callable[[], None]) -> None:
        """See `Chunked.ensure`. Missing segments that follow each other are rendered in one go."""
        missing = [segment for segment in self.segments(chunks) if not self.is_done(segment)]
        while missing:
            run = [missing.pop(0)]
            while missing and missing[0].start == run[-1].stop:
                run.append(missing.pop(0))
            self._render(run, on_chunk, check)

    def _render(self, run: Sequence[range], on_chunk: Callable[[], None], check: Callable[[], None]) -> None:
        span = range(run[0].start, run[-1].stop)
        self.before.ensure(self._around(span), check, check)
        chain = SoundChain(self.stages, self.states, self.format, self.length, self.device, self.stretches)
        with chain, closing(_closable(chain.render(self.before.read, span))) as made:
            for segment in run:
                with whole(self.path(segment)) as file:
                    for _ in segment:
                        file.write(next(made).contiguous().numpy().tobytes())
                        on_chunk()

    def read(self, chunks: range) -> Iterator[torch.Tensor]:
        """See `Chunked.read`."""
        shape = (self.format.channels, self.format.chunk)
        size = 4 * shape[0] * shape[1]
        for segment in self.segments(chunks):
            wanted = range(max(segment.start, chunks.start), min(segment.stop, chunks.stop))
            with self.path(segment).open("rb") as file:
                file.seek((wanted.start - segment.start) * size)
                for _ in wanted:
                    yield torch.frombuffer(bytearray(file.read(size)), dtype=torch.float32).reshape(shape)


def _closable(chunks: Iterator[torch.Tensor]) -> Any:
    return chunks


def facts_of(stage: AudioStage[Any]) -> dict[str, Any]:
    """What identifies a stage, for keys."""
    return {"name": stage.name, "version": stage.version, "options": stage.effective(), "weights": stage.weights()}
