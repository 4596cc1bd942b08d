"""How worker processes are started. Imports no torch."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from restore.errors import EngineError

Process = multiprocessing.process.BaseProcess

WORKERS_NEED = ("restore.engines.worker",)
"""What worker processes of `LocalEngine` import."""
_TRIES, _PAUSE = 10, 0.5


def cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


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
