"""How worker processes are started. Imports no torch."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

Process = multiprocessing.process.BaseProcess


def start(
    serve: Callable[..., None], *settings: Any, name: str, daemon: bool, needs: Sequence[str]
) -> tuple[Process, Connection]:
    """Start a process that runs ``serve(pipe, *settings)``, and return it with the other end of the pipe.

    On Linux it is forked from a process that has imported the modules it `needs` and done nothing else, since torch
    takes seconds to import; elsewhere, where forking is not safe, every process starts afresh.
    """
    context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(list(needs))
    ours, theirs = context.Pipe()
    process: Process = context.Process(target=serve, args=(theirs, *settings), name=name, daemon=daemon)
    process.start()
    theirs.close()
    return process, ours


def leave_with_parent() -> None:
    """End this process at once when the one that started it is gone: another may be working in its place already."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
