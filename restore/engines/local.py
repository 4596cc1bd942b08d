"""Shots and segments in worker processes of this machine: one a GPU, or several on the processor's cores."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from restore.engines.inline import InlineEngine
from restore.engines.processes import WORKERS_NEED, Process, cores, start
from restore.engines.worker import ENTRY, ERROR, FRAMES, serve
from restore.engines.workers import Piece, Session, WorkerEngine
from restore.errors import EngineError, RestoreError
from restore.pipeline.journal import Entry
from restore.pipeline.render import RenderTask
from restore.pipeline.study import Study

_POLL = 0.25


@dataclass(slots=True)
class _Worker:
    process: Process
    pipe: Connection
    device: torch.device
    piece: Piece | None = None
    reported: int = 0
    """Frames of the present piece already counted."""


class LocalEngine(WorkerEngine):
    """Worker processes.

    Args:
        workers: how many; one for each of `devices` if not given.
        devices: where they compute, in turn (``cuda:0``, ``cuda:1``); all on the job's own device if empty.
    """

    def __init__(self, workers: int | None = None, devices: Sequence[str] = ()) -> None:
        super().__init__(workers)
        self.devices = tuple(devices)

    def session(
        self, task: RenderTask, pieces: Sequence[Piece], on_entry: Callable[[Entry | None], None],
        on_frame: Callable[[], None],
    ) -> Session:  # fmt: skip
        """See `WorkerEngine.session`."""
        count = self.workers or max(1, len(self.devices))
        return _Session(self.retried, task, pieces, on_entry, on_frame, count, self.devices)

    def analyse(
        self,
        task: RenderTask,
        studies: Sequence[Study],
        on_frames: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        """See `Engine.analyse`; one shot is analysed in this process."""
        if len(studies) == 1:
            InlineEngine().analyse(task, studies, on_frames, check)
        else:
            super().analyse(task, studies, on_frames, check)


class _Session(Session):
    """Worker processes for some pieces; they end with it."""

    def __init__(
        self, retried: list[str], task: RenderTask, pieces: Sequence[Piece],
        on_entry: Callable[[Entry | None], None], on_frame: Callable[[], None], workers: int, devices: Sequence[str],
    ) -> None:  # fmt: skip
        super().__init__(retried, task, pieces, on_entry, on_frame)
        self._count = workers
        self._devices = [torch.device(name) for name in devices] or [task.device.torch_device]
        self._workers: list[_Worker] = []

    def run(self, check: Callable[[], None]) -> None:
        """See `Session.run`."""
        try:
            for number in range(min(self._count, self.left)):
                self._start(self._devices[number % len(self._devices)])
            while self.left:
                check()
                ready = wait([w.pipe for w in self._workers] + [w.process.sentinel for w in self._workers], _POLL)
                for worker in [w for w in self._workers if w.pipe in ready or w.process.sentinel in ready]:
                    self._hear(worker)
        finally:
            self._stop()

    def _start(self, device: torch.device) -> None:
        task = replace(self.task, device=replace(self.task.device, torch_device=device))
        threads = max(1, cores() // self._count)
        process, pipe = start(serve, task, threads, name="restore-worker", daemon=True, needs=WORKERS_NEED)
        worker = _Worker(process, pipe, device)
        self._workers.append(worker)
        self._give(worker)

    def _give(self, worker: _Worker) -> None:
        worker.piece = self.waiting.popleft() if self.waiting else None
        worker.reported = 0
        if worker.piece is not None:
            with contextlib.suppress(OSError):  # it died just now: its sentinel says so next time
                worker.pipe.send(worker.piece)

    def _hear(self, worker: _Worker) -> None:
        try:
            while worker.pipe.poll():
                self._take(worker, *worker.pipe.recv())
        except (EOFError, ConnectionResetError):
            self._died(worker)

    def _take(self, worker: _Worker, kind: str, content: Any) -> None:
        if kind == FRAMES:
            worker.reported += content
            self.count(content)
        elif kind == ENTRY:
            assert worker.piece is not None
            self.count(len(worker.piece.span) - worker.reported)
            self.done(content)
            self._give(worker)
        elif kind == ERROR:
            if isinstance(content, RestoreError):
                raise content
            raise EngineError(f"a worker failed: {content}; the same command goes on where it was")

    def _died(self, worker: _Worker) -> None:
        """Give a dead worker's piece to the next one free, and start another worker in its place."""
        worker.process.join()
        self._workers.remove(worker)
        worker.pipe.close()
        if worker.piece is not None:
            self.again(worker.piece, f"exit code {worker.process.exitcode}: out of memory?")
        if self.waiting:
            self._start(worker.device)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.pipe.close()
            if worker.piece is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
