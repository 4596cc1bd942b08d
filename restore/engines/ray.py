"""Shots and segments on the machines of a Ray cluster, or on this one through Ray. Needs the extra `ray`.

All machines must see the source and the job folder under the same paths: shared storage. That is checked with a file
written there before anything is rendered.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from restore.engines.local import TRIES
from restore.errors import EngineError, OptionError, RestoreError
from restore.pipeline.journal import Entry
from restore.pipeline.render import RenderTask, SegmentRenderer, Work
from restore.pipeline.study import Analyst, Study

_POLL = 0.25
_ANSWER = 5.0
"""Seconds an address has to answer. Ray itself waits minutes and then ends the process."""
_PLACE = 60.0
"""Seconds a worker has to be placed on a machine before the cluster is taken to be full."""


class RayEngine:
    """Workers on a Ray cluster; one that dies, with its machine or without, costs its segment, rendered elsewhere.

    Args:
        workers: how many; as many as the cluster has graphics cards, or else machines, if not given.
        address: of a cluster: ``auto`` for the one this machine belongs to, ``HOST:PORT`` or ``ray://HOST:PORT``.
            If not given, this machine's cluster, or a head started here for the run.
    """

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        if workers is not None and workers < 1:
            raise OptionError(f"{workers} workers cannot work: give at least 1")
        self.count, self.address = workers, address
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
        """See `Engine.run`. Raises EngineError if no cluster answers, or a machine does not see the files."""

        def done(entry: Entry | None) -> None:
            assert entry is not None
            on_entry(entry)

        self._session(task, works, done, on_frame, check)

    def analyse(
        self,
        task: RenderTask,
        studies: Sequence[Study],
        on_frames: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        """See `Engine.analyse`. Raises EngineError as `run` does."""
        self._session(task, studies, lambda _: None, lambda: on_frames(1), check)

    def _session(
        self,
        task: RenderTask,
        works: Sequence[Work] | Sequence[Study],
        on_entry: Callable[[Entry | None], None],
        on_frame: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        ray = _import()
        _connect(ray, self.address)  # Ray itself disconnects, and ends a head it started, when the process ends
        _Session(ray, self, task, works, on_entry, on_frame).run(check)


def _import() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Without it Ray hides the graphics cards from workers that asked for none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise EngineError("--engine ray needs Ray: pip install 'restore-film[ray]'") from None
    return ray


def _connect(ray: Any, address: str | None) -> None:
    """Connect to a cluster, unless that is done. Raises EngineError."""
    if ray.is_initialized():
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address not in (None, "auto", "local"):
        _answers(str(address))
    try:
        if address is not None and address != "local":
            ray.init(address=address, **quiet)
        else:
            try:
                if address == "local":
                    raise ConnectionError
                ray.init(address="auto", **quiet)
            except ConnectionError:
                ray.init(address="local", include_dashboard=False, **quiet)
    except (ConnectionError, RuntimeError, ValueError, SystemExit) as error:
        why = str(error).split(". ")[0] or "no answer"
        raise EngineError(f"--address {address}: no Ray cluster there ({why}); start one with `ray start`") from None


def _answers(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_ANSWER):
            return
    except ValueError:
        raise OptionError(f"--address {address}: write auto, HOST:PORT or ray://HOST:PORT") from None
    except OSError as error:
        raise EngineError(
            f"--address {address}: no one answers there ({error.strerror or error}); is the head running, and its port "
            "open?"
        ) from None


class Renderer:
    """What runs on a cluster's machine: an opened task that renders one segment after another."""

    def __init__(self, task: RenderTask, threads: int) -> None:
        import torch

        from restore.pipeline.device import keep_freed_memory

        torch.set_num_threads(threads)
        if task.device.torch_device.type == "cpu":
            keep_freed_memory()
        self._task = task
        self._renderer: SegmentRenderer | None = None
        self._analyst: Analyst | None = None

    def sees(self, probe: str, content: str) -> str | None:
        """What this machine cannot see of a job's files; None if it sees all of them."""
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

    def do(self, work: Work | Study) -> Entry | None:
        """Render one segment, or analyse one shot."""
        if isinstance(work, Study):
            if self._analyst is None:
                self._analyst = Analyst(self._task, work.folder, work.edits).__enter__()
            self._analyst.study(work, lambda: None)
            return None
        if self._renderer is None:
            self._renderer = SegmentRenderer(self._task).__enter__()
        return self._renderer.render(work)

    def process_id(self) -> int:
        """Of the process that renders, for those who watch."""
        return os.getpid()


class _Session:
    """One run of the engine."""

    def __init__(
        self, ray: Any, engine: RayEngine, task: RenderTask, works: Sequence[Work] | Sequence[Study],
        on_entry: Callable[[Entry | None], None], on_frame: Callable[[], None],
    ) -> None:  # fmt: skip
        self.ray, self.engine, self.task = ray, engine, task
        self.waiting: deque[Work | Study] = deque(works)
        self.left = len(works)
        self.tries: dict[str, int] = {}
        self.on_entry, self.on_frame = on_entry, on_frame
        self.running: dict[Any, tuple[Any, Work | Study]] = {}
        on_gpu = task.device.torch_device.type == "cuda"
        resources = ray.cluster_resources()
        machines = sum(node["Alive"] for node in ray.nodes())
        self.count = engine.count or max(1, int(resources.get("GPU", 0)) if on_gpu else machines)
        cores = int(resources.get("CPU", 1))
        self.threads = max(1, cores // max(self.count, machines))
        claim = {"num_gpus": 1, "num_cpus": 1} if on_gpu else {"num_cpus": self.threads}
        if on_gpu:  # Ray shows each worker its own card alone
            self.task = replace(task, device=replace(task.device, torch_device=_first_card()))
        self.actor = ray.remote(max_restarts=0, **claim)(Renderer)

    def run(self, check: Callable[[], None]) -> None:
        actors = [self._start() for _ in range(min(self.count, self.left))]
        try:
            self._check_storage(actors, check)
            for actor in actors:
                self._give(actor)
            while self.left:
                check()
                done, _ = self.ray.wait(list(self.running), num_returns=1, timeout=_POLL)
                for reference in done:
                    self._hear(reference)
        finally:
            for actor in {*actors, *(actor for actor, _ in self.running.values())}:
                with contextlib.suppress(Exception):
                    self.ray.kill(actor)

    def _start(self) -> Any:
        return self.actor.remote(self.task, self.threads)

    def _check_storage(self, actors: Sequence[Any], check: Callable[[], None]) -> None:
        first = self.waiting[0]
        folder = first.folder if isinstance(first, Study) else first.path.parent.parent
        probe, content = folder / f".shared-{uuid.uuid4().hex}", uuid.uuid4().hex
        probe.write_text(content, encoding="utf-8")
        try:
            asked = [actor.sees.remote(str(probe), content) for actor in actors]
            waited = 0.0
            while (placed := len(self.ray.wait(asked, num_returns=len(asked), timeout=_POLL)[0])) < len(asked):
                check()
                waited += _POLL
                if waited > _PLACE:
                    raise EngineError(
                        f"only {placed} of {len(asked)} workers found a place in {_PLACE:g} s: the cluster has no more "
                        f"free; use --workers {max(1, placed)}"
                    )
            for missing in self.ray.get(asked):
                if missing is not None:
                    raise EngineError(
                        f"a machine of the cluster does not see the job's files ({missing}); source and job folder "
                        "must lie on storage that all of them share, under the same path"
                    )
        except self.ray.exceptions.RayActorError as error:
            raise EngineError(f"a worker did not start: {_one_line(error)}") from None
        finally:
            probe.unlink(missing_ok=True)

    def _give(self, actor: Any) -> None:
        if self.waiting:
            work = self.waiting.popleft()
            self.running[actor.do.remote(work)] = (actor, work)

    def _hear(self, reference: Any) -> None:
        actor, work = self.running.pop(reference)
        try:
            entry: Entry | None = self.ray.get(reference)
        except self.ray.exceptions.RayActorError as error:
            self._died(work, error)
            return
        except self.ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, RestoreError):
                raise cause from None
            raise EngineError(f"a worker failed: {_one_line(cause)}; the same command goes on where it was") from None
        for _ in work.span:
            self.on_frame()
        self.on_entry(entry)
        self.left -= 1
        self._give(actor)

    def _died(self, work: Work | Study, error: Exception) -> None:
        """Give a dead worker's segment to a new worker, wherever there is room."""
        tries = self.tries[work.key] = self.tries.get(work.key, 1) + 1
        if tries > TRIES:
            raise EngineError(
                f"frames {work.span.start} to {work.span.stop - 1}: {TRIES} workers died on them ({_one_line(error)}): "
                "use fewer --workers, or --engine inline"
            )
        self.engine.retried.append(work.key)
        self.waiting.appendleft(work)
        self._give(self._start())


def _first_card() -> Any:
    import torch

    return torch.device("cuda:0")


def _one_line(error: Any) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
