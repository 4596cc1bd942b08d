"""The child process of a batch: restores one reel after another, and says how each went.

It is a process of its own so that a reel which crashes a decoder, or eats all memory, costs itself and nothing else.
It ends at once when its parent is gone: the job folder keeps what was done.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.archive.ledger import FileFacts
from restore.engines.choice import EngineChoice
from restore.errors import CancelledError, ClusterError, DiskFullError, RestoreError, SourceError, SourceNotFoundError
from restore.recipe import Recipe

if TYPE_CHECKING:
    from restore.pipeline.render import Engine

PROGRESS, DONE, FAILED, STOPPED, NO_ROOM, NO_CLUSTER = "progress", "done", "failed", "stopped", "no room", "no cluster"
"""Kinds of messages to the parent."""
STOP = "stop"
"""What the parent says to have the running job stopped; anything else is a `Task`."""


@dataclass(frozen=True)
class Task:
    """One reel to restore."""

    source: str
    output: Path
    recipe: dict[str, Any]
    work_dir: Path | None
    overwrite: bool
    device: str
    precision: str
    report: bool = True
    fixity: bool = False


def serve(pipe: Connection, threads: int, choice: EngineChoice) -> None:
    """Work through tasks until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(pipe, tasks, stop), daemon=True).start()
    import torch

    torch.set_num_threads(threads)
    engine = choice.build()
    while (task := tasks.get()) is not None:
        stop.clear()
        pipe.send(_carry_out(task, engine, pipe, stop))


def _listen(pipe: Connection, tasks: queue.SimpleQueue[Task | None], stop: threading.Event) -> None:
    while True:
        try:
            said = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        if said == STOP:
            stop.set()
        else:
            tasks.put(said)


def _carry_out(task: Task, engine: Engine, pipe: Connection, stop: threading.Event) -> tuple[str, Any]:
    """Restore one reel; returns the message that says how it went."""
    facts: FileFacts | None = None
    try:
        facts = FileFacts.of(task.source)
        facts = facts.hashed(task.source)
        return DONE, _restore(task, engine, facts, pipe, stop)
    except CancelledError:
        return STOPPED, None
    except DiskFullError as error:
        return NO_ROOM, str(error)
    except ClusterError as error:
        return NO_CLUSTER, str(error)
    except FileNotFoundError as error:
        kind = error if isinstance(error, RestoreError) else SourceNotFoundError(f"{task.source}: no such file")
        return FAILED, (type(kind).__name__, str(kind), facts)
    except RestoreError as error:
        return FAILED, (type(error).__name__, str(error), facts)
    except OSError as error:
        return FAILED, ("SourceError", f"{error.filename or task.source}: {error.strerror or error}", facts)
    except Exception as error:  # a defect of ours must not end the batch either
        words = " ".join(str(error).split())[:300]
        return FAILED, (type(error).__name__, f"{task.source}: internal error: {words}", facts)


def _restore(task: Task, engine: Engine, facts: FileFacts, pipe: Connection, stop: threading.Event) -> dict[str, Any]:
    from restore import api, pages

    task.output.parent.mkdir(parents=True, exist_ok=True)
    if task.work_dir is not None:
        task.work_dir.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    result = api.run(
        task.source, task.output, Recipe.from_dict(task.recipe), work_dir=task.work_dir, overwrite=task.overwrite,
        device=task.device, precision=task.precision, engine=engine, cancel=stop,
        on_progress=lambda progress: pipe.send((PROGRESS, progress)),
    )  # fmt: skip
    if not FileFacts.of(task.source).same_stat(facts):
        raise SourceError(f"{task.source}: changed while it was being restored; run the same command again")
    if task.report:
        with contextlib.suppress(RestoreError, OSError):  # the film is made; a report can be written later
            pages.report(result.folder)
    made = None
    if task.output.is_file():
        made = FileFacts.of(str(task.output))
        made = replace(made, sha256=made.hashed(str(task.output)).sha256)
    if task.fixity and made is not None:
        from restore.archive.fixity import write_sidecars

        write_sidecars(task.output, digest=made.sha256)
    return {
        "facts": facts, "made": made, "frames": result.frames, "damaged": len(result.damaged),
        "seconds": time.monotonic() - begun,
    }  # fmt: skip
