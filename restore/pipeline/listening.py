"""Analyzers at work while the track goes on: each in a thread of its own, in order, some chunks behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import torch

from restore.frames import AudioChunk
from restore.pipeline.audio_contract import AudioAnalyzer, State
from restore.pipeline.sound_chain import alone

_BEHIND = 16
"""Chunks that may wait for the slowest analyzer."""


class Listeners:
    """A context manager; `finish` within it."""

    def __init__(self, analyzers: Sequence[AudioAnalyzer]) -> None:
        self._analyzers = analyzers
        several = torch.get_num_threads() > 1
        self._pools = [ThreadPoolExecutor(1, "listen", alone) for _ in analyzers] if several else []
        self._waiting: deque[list[Future[None]]] = deque()

    def add(self, chunk: AudioChunk) -> None:
        """Have the next chunk heard. Raises what an analyzer raised."""
        if not self._pools:
            for analyzer in self._analyzers:
                analyzer.add(chunk)
            return
        pairs = zip(self._pools, self._analyzers, strict=True)
        self._waiting.append([pool.submit(analyzer.add, chunk) for pool, analyzer in pairs])
        if len(self._waiting) > _BEHIND:
            self._catch_up()

    def finish(self) -> list[State]:
        """What each of them found, once all that was added has been heard. Raises what an analyzer raised."""
        if not self._pools:
            return [analyzer.finish() for analyzer in self._analyzers]
        while self._waiting:
            self._catch_up()
        pairs = zip(self._pools, self._analyzers, strict=True)
        return [future.result() for future in [pool.submit(analyzer.finish) for pool, analyzer in pairs]]

    def _catch_up(self) -> None:
        for future in self._waiting.popleft():
            future.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            while self._waiting and kind is None:
                self._catch_up()
        finally:
            for pool in self._pools:
                pool.shutdown(cancel_futures=True)
