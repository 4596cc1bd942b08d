"""Shots and segments on the machines of a Ray cluster, or on this one through Ray. Needs the extra `ray`.

All machines must see the source and the job folder under the same paths: shared storage. That is checked with a file
written there before anything is rendered.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from restore.engines.cluster import connected
from restore.engines.workers import Piece, Session, WorkerEngine
from restore.errors import ClusterError, EngineError, RestoreError
from restore.pipeline.journal import Entry
from restore.pipeline.render import RenderTask, SegmentRenderer
from restore.pipeline.study import Analyst, Study

_POLL = 0.25
_PLACE = 60.0
"""Seconds a worker has to be placed on a machine before the cluster is taken to be full."""


class RayEngine(WorkerEngine):
    """Workers on a Ray cluster; they are kept for the next job, as long as the engine is.

    Args:
        workers: how many; as many as the cluster has graphics cards, or else machines, if not given.
        address: of a cluster: ``auto`` for the one this machine belongs to, ``HOST:PORT`` or ``ray://HOST:PORT``.
            If not given, this machine's cluster, or a head started here for the run.
    """

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        super().__init__(workers)
        self.address = address
        self.idle: dict[str, list[Any]] = {}
        """Workers that wait for something to do, by what they claim of their machine. Ray ends them once nobody holds
        them any more."""

    def session(
        self, task: RenderTask, pieces: Sequence[Piece], on_entry: Callable[[Entry | None], None],
        on_frame: Callable[[], None],
    ) -> Session:  # fmt: skip
        """See `WorkerEngine.session`. Raises ClusterError if no cluster answers."""
        return _Session(connected(self.address), self, task, pieces, on_entry, on_frame)


class Worker:
    """What runs on a cluster's machine: renders one segment, or analyses one shot, after another."""

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._task: RenderTask | None = None
        self._opened = contextlib.ExitStack()
        self._renderer: SegmentRenderer | None = None
        self._analyst: Analyst | None = None

    def turn_to(self, task: RenderTask | None) -> None:
        """Close what is open of the job so far, whose files may then be moved; what follows belongs to `task`."""
        from restore.pipeline.device import keep_freed_memory

        self._opened.close()
        self._task, self._renderer, self._analyst = task, None, None
        if task is not None and task.device.torch_device.type == "cpu":
            keep_freed_memory()

    def sees(self, probe: str, content: str) -> str | None:
        """What this machine cannot see of the job's files; None if it sees all of them."""
        assert self._task is not None
        try:
            if Path(probe).read_text(encoding="utf-8") != content:
                return f"another {probe}"
            mark = Path(probe).with_name(f"{Path(probe).name}.{os.getpid()}")
            mark.write_text(content, encoding="utf-8")
            mark.unlink()
            self._task.open_source().close()
        except (OSError, RestoreError) as error:
            return str(error)
        return None

    def do(self, piece: Piece) -> Entry | None:
        """Render one segment, or analyse one shot."""
        assert self._task is not None
        if isinstance(piece, Study):
            if self._analyst is None:
                self._analyst = self._opened.enter_context(Analyst(self._task, piece.folder, piece.edits))
            self._analyst.study(piece, lambda: None)
            return None
        if self._renderer is None:
            self._renderer = self._opened.enter_context(SegmentRenderer(self._task))
        return self._renderer.render(piece)


class _Session(Session):
    """Some pieces on a cluster."""

    def __init__(
        self, ray: Any, engine: RayEngine, task: RenderTask, pieces: Sequence[Piece],
        on_entry: Callable[[Entry | None], None], on_frame: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(engine.retried, task, pieces, on_entry, on_frame)
        self._ray = ray
        self._running: dict[Any, tuple[Any, Piece]] = {}
        on_gpu = task.device.torch_device.type == "cuda"
        resources = ray.cluster_resources()
        machines = sum(node["Alive"] for node in ray.nodes())
        self._count = engine.workers or max(1, int(resources.get("GPU", 0)) if on_gpu else machines)
        cores = int(resources.get("CPU", 1))
        self._threads = max(1, cores // max(self._count, machines))
        claim = {"num_gpus": 1, "num_cpus": 1} if on_gpu else {"num_cpus": self._threads}
        if on_gpu:  # Ray shows each worker its own card alone
            self.task = replace(task, device=replace(task.device, torch_device=_first_card()))
        self._actor = ray.remote(max_restarts=0, **claim)(Worker)
        self._idle = engine.idle.setdefault(str((claim, self._threads)), [])

    def run(self, check: Callable[[], None]) -> None:
        """See `Session.run`."""
        actors = self._gather(min(self._count, self.left))
        try:
            self._check_storage(actors, check)
            for actor in actors:
                self._give(actor)
            while self.left:
                check()
                done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_POLL)
                for reference in done:
                    self._hear(reference)
        except BaseException:
            for actor in {*actors, *self._idle, *(actor for actor, _ in self._running.values())}:
                with contextlib.suppress(Exception):
                    self._ray.kill(actor)
            self._idle.clear()
            raise

    def _gather(self, count: int) -> list[Any]:
        """So many workers: those that wait and still live, and new ones."""
        found: list[Any] = []
        while self._idle and len(found) < count:
            actor = self._idle.pop()
            with contextlib.suppress(self._ray.exceptions.RayActorError):
                self._ray.get(actor.turn_to.remote(self.task))
                found.append(actor)
        return found + [self._start() for _ in range(count - len(found))]

    def _start(self) -> Any:
        actor = self._actor.remote(self._threads)
        actor.turn_to.remote(self.task)
        return actor

    def _check_storage(self, actors: Sequence[Any], check: Callable[[], None]) -> None:
        first = self.waiting[0]
        folder = first.folder if isinstance(first, Study) else first.path.parent.parent
        probe, content = folder / f".shared-{uuid.uuid4().hex}", uuid.uuid4().hex
        probe.write_text(content, encoding="utf-8")
        try:
            asked = [actor.sees.remote(str(probe), content) for actor in actors]
            waited = 0.0
            while (placed := len(self._ray.wait(asked, num_returns=len(asked), timeout=_POLL)[0])) < len(asked):
                check()
                waited += _POLL
                if waited > _PLACE:
                    raise ClusterError(
                        f"only {placed} of {len(asked)} workers found a place in {_PLACE:g} s: the cluster has no more "
                        f"free; use --workers {max(1, placed)}"
                    )
            for missing in self._ray.get(asked):
                if missing is not None:
                    raise ClusterError(
                        f"a machine of the cluster does not see the job's files ({missing}); source and job folder "
                        "must lie on storage that all of them share, under the same path"
                    )
        except self._ray.exceptions.RayActorError as error:
            raise ClusterError(f"a worker did not start: {_one_line(error)}") from None
        finally:
            probe.unlink(missing_ok=True)

    def _give(self, actor: Any) -> None:
        if self.waiting:
            piece = self.waiting.popleft()
            self._running[actor.do.remote(piece)] = (actor, piece)
        else:
            actor.turn_to.remote(None)
            self._idle.append(actor)

    def _hear(self, reference: Any) -> None:
        actor, piece = self._running.pop(reference)
        try:
            entry: Entry | None = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            self.again(piece, _one_line(error))
            self._give(self._start())
            return
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, RestoreError):
                raise cause from None
            raise EngineError(f"a worker failed: {_one_line(cause)}; the same command goes on where it was") from None
        self.count(len(piece.span))
        self.done(entry)
        self._give(actor)


def _first_card() -> Any:
    import torch

    return torch.device("cuda:0")


def _one_line(error: Any) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
