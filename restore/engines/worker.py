"""What a worker process does: take a segment or a shot, do it, say so, until nobody is left to say it to."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection

import torch

from restore.engines.processes import leave_with_parent
from restore.errors import RestoreError
from restore.pipeline.device import keep_freed_memory
from restore.pipeline.render import RenderTask, SegmentRenderer, Work
from restore.pipeline.study import Analyst, Study

FRAMES, ENTRY, ERROR = "frames", "entry", "error"
"""Kinds of messages to the parent: frames done since the last one, a finished segment or shot, what went wrong."""

_REPORT_EVERY = 0.2


def serve(pipe: Connection, task: RenderTask, threads: int) -> None:
    """Render or analyse what comes through `pipe` until it is closed. Runs in a process of its own.

    Interrupts are the parent's business: it closes the pipe, or ends this process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_with_parent()
    torch.set_num_threads(threads)
    if task.device.torch_device.type == "cpu":
        keep_freed_memory()
    try:
        with ExitStack() as opened:
            doer: SegmentRenderer | Analyst | None = None
            while (work := _next(pipe)) is not None:
                if isinstance(work, Study):
                    if not isinstance(doer, Analyst):
                        doer = opened.enter_context(Analyst(task, work.folder, work.edits))
                    doer.study(work, lambda: None)
                    pipe.send((ENTRY, None))
                else:
                    if not isinstance(doer, SegmentRenderer):
                        doer = opened.enter_context(SegmentRenderer(task))
                    pipe.send((ENTRY, doer.render(work, _Reporter(pipe).frame)))
    except RestoreError as error:
        _tell(pipe, error)
    except Exception as error:  # the parent decides what it means
        _tell(pipe, RuntimeError(f"{type(error).__name__}: {error}"))


def _next(pipe: Connection) -> Work | Study | None:
    try:
        work: Work | Study | None = pipe.recv()
    except EOFError:
        return None
    return work


def _tell(pipe: Connection, error: Exception) -> None:
    try:
        pipe.send((ERROR, error))
    except OSError:
        return


class _Reporter:
    """Counts frames and reports them a few times a second."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._count = 0
        self._last = time.monotonic()

    def frame(self) -> None:
        self._count += 1
        now = time.monotonic()
        if now - self._last >= _REPORT_EVERY:
            self._pipe.send((FRAMES, self._count))
            self._count, self._last = 0, now
