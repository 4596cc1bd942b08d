"""How worker processes are started. Imports no torch."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from restore.errors import EngineError

Process = multiprocessing.process.BaseProcess

WORKERS_NEED = ("restore.engines.worker",)
"""What worker processes of `LocalEngine` import."""
_TRIES, _PAUSE = 10, 0.5
_FRAMES_HELD = 120
"""Frames, as three planes of float32, that decoder, stages and encoder of a worker hold together."""


def cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def free_memory() -> int:
    """Bytes that new processes may take without others having to give any back, as far as the system tells."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) << 10
        limit = Path("/sys/fs/cgroup/memory.max")  # a container's
        allowed = limit.read_text(encoding="ascii").strip() if limit.exists() else "max"
        return free if allowed == "max" else min(free, int(allowed))
    except (OSError, StopIteration, ValueError):
        return 8 << 30


def worker_bytes(pixels: int) -> int:
    """About what a worker takes, at most, for frames of so many pixels: libraries, queues and windows of frames."""
    return (300 << 20) + _FRAMES_HELD * 12 * pixels


def warm(needs: Sequence[str]) -> None:
    """Have what processes are forked from import what they need, while this one does something else."""
    if sys.platform == "linux":
        from multiprocessing import forkserver

        multiprocessing.get_context("forkserver").set_forkserver_preload(list(needs))
        forkserver.ensure_running()


def start(
    serve: Callable[..., None], *settings: Any, name: str, daemon: bool, needs: Sequence[str]
) -> tuple[Process, Connection]:
    """Start a process that runs ``serve(pipe, *settings)``, and return it with the other end of the pipe.

    On Linux it is forked from a process that has imported the modules it `needs` and done nothing else, since torch
    takes seconds to import; elsewhere, where forking is not safe, every process starts afresh. Raises EngineError.
    """
    context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    warm(needs)
    ours, theirs = context.Pipe()
    for _ in range(_TRIES):
        process: Process = context.Process(target=serve, args=(theirs, *settings), name=name, daemon=daemon)
        try:
            process.start()
        except (EOFError, ConnectionError):  # what it was to be forked from is dying; the next one is another
            time.sleep(_PAUSE)
            continue
        theirs.close()
        return process, ours
    raise EngineError("no worker process can be started: is there memory left?")


def leave_with_parent() -> None:
    """End this process at once when the one that started it is gone: another may be working in its place already."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
