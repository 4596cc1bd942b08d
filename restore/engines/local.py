"""Shots and segments in worker processes of this machine: one a GPU, or several on the processor's cores."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import torch

from restore.engines.inline import InlineEngine
from restore.engines.worker import ENTRY, ERROR, FRAMES, serve
from restore.errors import EngineError, OptionError, RestoreError
from restore.pipeline.journal import Entry
from restore.pipeline.render import RenderTask, Work
from restore.pipeline.study import Study

TRIES = 3
"""How often a segment is begun before its workers' deaths are taken for its own fault."""
_POLL = 0.25


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    device: torch.device
    work: Work | Study | None = None
    reported: int = 0
    """Frames of the present segment or shot already counted."""


class LocalEngine:
    """`workers` processes; a worker that dies costs its segment, which another one renders.

    Args:
        workers: how many; one for each of `devices` if not given.
        devices: where they compute, in turn (``cuda:0``, ``cuda:1``); all on the job's own device if empty.
    """

    def __init__(self, workers: int | None = None, devices: Sequence[str] = ()) -> None:
        if workers is not None and workers < 1:
            raise OptionError(f"{workers} workers cannot work: give at least 1")
        self.count = workers or max(1, len(devices))
        self.devices = tuple(devices)
        self.retried: list[str] = []
        """Keys of segments that were begun again after a worker's death."""

    def run(
        self,
        task: RenderTask,
        works: Sequence[Work],
        on_entry: Callable[[Entry], None],
        on_frame: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        """See `Engine.run`. Raises EngineError for a segment whose workers keep dying."""

        def done(entry: Entry | None) -> None:
            assert entry is not None
            on_entry(entry)

        _Session(self, task, works, done, on_frame).run(check)

    def analyse(
        self,
        task: RenderTask,
        studies: Sequence[Study],
        on_frames: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        """See `Engine.analyse`; one shot is analysed in this process. Raises EngineError as `run` does."""
        if len(studies) == 1:
            InlineEngine().analyse(task, studies, on_frames, check)
        else:
            _Session(self, task, studies, lambda _: None, lambda: on_frames(1)).run(check)


class _Session:
    """One run of the engine."""

    def __init__(
        self,
        engine: LocalEngine,
        task: RenderTask,
        works: Sequence[Work] | Sequence[Study],
        on_entry: Callable[[Entry | None], None],
        on_frame: Callable[[], None],
    ) -> None:
        self.engine, self.task = engine, task
        self.waiting: deque[Work | Study] = deque(works)
        self.tries: dict[str, int] = {}
        self.on_entry, self.on_frame = on_entry, on_frame
        self.workers: list[_Worker] = []
        self.left = len(works)

    def run(self, check: Callable[[], None]) -> None:
        devices = self.engine.devices or (str(self.task.device.torch_device),)
        try:
            for number in range(min(self.engine.count, self.left)):
                self._start(torch.device(devices[number % len(devices)]))
            while self.left:
                check()
                ready = wait([w.pipe for w in self.workers] + [w.process.sentinel for w in self.workers], _POLL)
                for worker in [w for w in self.workers if w.pipe in ready or w.process.sentinel in ready]:
                    self._hear(worker)
        finally:
            self._stop()

    def _start(self, device: torch.device) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        task = replace(self.task, device=replace(self.task.device, torch_device=device))
        threads = max(1, (os.cpu_count() or 1) // self.engine.count)
        process = context.Process(target=serve, args=(theirs, task, threads), name="restore-worker", daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours, device)
        self.workers.append(worker)
        self._give(worker)

    def _give(self, worker: _Worker) -> None:
        worker.work = self.waiting.popleft() if self.waiting else None
        worker.reported = 0
        if worker.work is not None:
            with contextlib.suppress(OSError):  # it died just now: its sentinel says so next time
                worker.pipe.send(worker.work)

    def _hear(self, worker: _Worker) -> None:
        try:
            while worker.pipe.poll():
                self._take(worker, *worker.pipe.recv())
        except (EOFError, ConnectionResetError):
            self._died(worker)

    def _take(self, worker: _Worker, kind: str, content: Any) -> None:
        if kind == FRAMES:
            self._count(worker, content)
        elif kind == ENTRY:
            assert worker.work is not None
            self._count(worker, len(worker.work.span) - worker.reported)
            self.on_entry(content)
            self.left -= 1
            self._give(worker)
        elif kind == ERROR:
            if isinstance(content, RestoreError):
                raise content
            raise EngineError(f"a worker failed: {content}; the same command goes on where it was")

    def _count(self, worker: _Worker, frames: int) -> None:
        worker.reported += frames
        for _ in range(frames):
            self.on_frame()

    def _died(self, worker: _Worker) -> None:
        """Give a dead worker's segment to the next one free, and start another worker in its place."""
        worker.process.join()
        self.workers.remove(worker)
        worker.pipe.close()
        work = worker.work
        if work is not None:
            tries = self.tries[work.key] = self.tries.get(work.key, 1) + 1
            if tries > TRIES:
                raise EngineError(
                    f"frames {work.span.start} to {work.span.stop - 1}: {TRIES} workers died on them (exit code "
                    f"{worker.process.exitcode}: out of memory?); use fewer --workers, or --engine inline"
                )
            self.engine.retried.append(work.key)
            self.waiting.appendleft(work)
        if self.waiting:
            self._start(worker.device)

    def _stop(self) -> None:
        for worker in self.workers:
            worker.pipe.close()
            if worker.work is not None:
                worker.process.terminate()
        for worker in self.workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
