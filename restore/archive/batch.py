"""Working through a batch: who is next, which child process takes it, what is written down, and when to stop."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from filelock import FileLock, Timeout

from restore.archive.ledger import FileFacts, Ledger, Outcome
from restore.archive.reels import Reel
from restore.archive.worker import DONE, FAILED, NO_CLUSTER, NO_ROOM, PROGRESS, STOP, STOPPED, Task, serve
from restore.engines.choice import EngineChoice
from restore.engines.processes import Process, cores, start
from restore.errors import (
    CancelledError,
    ClusterError,
    DiskFullError,
    JobBusyError,
    OptionError,
    OutputError,
    PlanError,
)
from restore.recipe import Recipe

if TYPE_CHECKING:
    from restore.pipeline.progress import Progress

FOLDER = ".restore-batch"
"""Below the batch's output folder: the ledger and the lock."""
_POLL = 0.25


@dataclass(frozen=True)
class BatchOptions:
    """How a batch is run; none of it changes a pixel."""

    jobs: int = 1
    """Reels at once, each in a child process."""
    device: str = "auto"
    devices: tuple[str, ...] = ()
    """Devices of the child processes in turn; `device` for all if empty."""
    engine: EngineChoice = EngineChoice()
    """Who renders the segments of each reel."""
    precision: str = "auto"
    work_dir: Path | None = None
    """Job folders go below it, the tree mirrored; beside the outputs if None."""
    overwrite: bool = False
    retry_failed: bool = False
    verify: bool = False
    limit: int | None = None
    max_hours: float | None = None
    report: bool = True
    fixity: bool = False
    """Write checksums beside the outputs."""
    keep_free: int = 1 << 30
    """Bytes that must be free on the output's disk before a reel is begun."""


class Watcher(Protocol):
    """Whoever wants to know how a batch goes."""

    def started(self, reel: Reel) -> None:
        """A reel is begun."""

    def progress(self, reel: Reel, progress: Progress) -> None:
        """How far a reel has come, a few times a second."""

    def finished(self, reel: Reel, outcome: Outcome) -> None:
        """A reel is done, or has failed."""

    def skipped(self, reel: Reel, outcome: Outcome) -> None:
        """A reel needs no work: it was done, or failed, before."""


@dataclass
class Summary:
    """What a run of a batch came to."""

    done: int = 0
    """Restored by this run."""
    unchanged: int = 0
    """Done before, and nothing has changed since."""
    failed: list[Outcome] = field(default_factory=list)
    """Failed now, or before and not retried."""
    damaged: int = 0
    """Of those done, how many had a damaged source."""
    left: int = 0
    """Not begun, because a limit was reached."""
    stopped: str = ""
    """Why the batch stopped early, if it did."""

    @property
    def exit_code(self) -> int:
        """0 all went well, 3 some did, or some sources were damaged, 1 none did."""
        good = self.done + self.unchanged
        if self.stopped and not good:
            return 1
        if self.failed and not good:
            return 1
        return 3 if self.failed or self.damaged or self.stopped else 0


@dataclass(slots=True)
class _Child:
    process: Process
    pipe: Connection
    device: str
    reel: Reel | None = None
    recipe: Recipe | None = None
    key: str = ""


@contextmanager
def batch_folder(out: Path) -> Iterator[Path]:
    """The batch's own folder, made and locked. Raises JobBusyError, OutputError."""
    folder = out / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise JobBusyError(f"{out}: another batch is working on this folder; wait for it, or stop it") from None
    except OSError as error:
        raise OutputError(f"{out}: cannot be written to ({error.strerror}); choose another folder") from None
    try:
        yield folder
    finally:
        lock.release()


class Batch:
    """A batch over one output folder.

    Args:
        ledger: what was done before, in the folder from `batch_folder`.
        recipe_of: the recipe of a reel, with its overrides applied.
        options: how to run.
        watcher: told how it goes.
        cancelled: asked often; once true, running jobs are stopped and CancelledError is raised.
    """

    def __init__(
        self, ledger: Ledger, recipe_of: Callable[[Reel], Recipe], options: BatchOptions, watcher: Watcher,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.ledger, self.recipe_of, self.options = ledger, recipe_of, options
        self.watcher, self.cancelled = watcher, cancelled
        self.summary = Summary()
        self._children: list[_Child] = []
        self._died_once: set[str] = set()
        self._again: deque[tuple[Reel, Recipe]] = deque()
        self._begun = 0
        self._engine: EngineChoice | None = None
        self._ends = time.monotonic() + options.max_hours * 3600 if options.max_hours is not None else None

    def run(self, reels: Sequence[Reel], out: Path) -> Summary:
        """Do what is left to do of these reels. May be called again with further ones.

        Raises CancelledError, OptionError for recipes that cannot be, before any reel is begun, DiskFullError, and
        ClusterError where the engine's machines cannot be reached.
        """
        recipes = [self.recipe_of(reel) for reel in reels]
        waiting = deque(zip(reels, recipes, strict=True))
        self.summary = Summary()
        try:
            while waiting or self._busy():
                if self.cancelled():
                    raise CancelledError("stopped; the same command goes on from here")
                reason = self._limit(out)
                if reason:
                    self._halt(reason, len(waiting))
                    return self.summary
                while waiting and len(self._busy()) < self.options.jobs and not self.summary.left:
                    self._consider(*waiting.popleft(), out)
                    if self.options.limit is not None and self._begun >= self.options.limit and waiting:
                        self.summary.left = self._still_to_do(waiting)
                        waiting.clear()
                if self._busy():
                    self._listen()
                waiting.extendleft(self._again)
                self._again.clear()
        except BaseException:
            self.close()
            raise
        return self.summary

    def _busy(self) -> list[_Child]:
        return [child for child in self._children if child.reel is not None]

    def _limit(self, out: Path) -> str:
        if self._ends is not None and time.monotonic() >= self._ends:
            return f"{self.options.max_hours:g} hours have passed (--max-hours)"
        free = shutil.disk_usage(out).free
        if free < self.options.keep_free and not self._busy():
            return f"{out}: {free / 1e9:.1f} GB are free, less than --keep-free"
        return ""

    def _still_to_do(self, waiting: Sequence[tuple[Reel, Recipe]]) -> int:
        left = 0
        for reel, recipe in waiting:
            known = self._settled(reel, _key(reel, recipe))
            if known is None:
                left += 1
            else:
                self._skip(reel, known)
        return left

    def _halt(self, reason: str, left: int) -> None:
        """Stop what runs (it goes on next time) and say why."""
        self.summary.stopped = reason
        self.summary.left = left + len(self._busy())
        self.close()

    def _settled(self, reel: Reel, key: str) -> Outcome | None:
        known = self.ledger.settled(reel.source, reel.output, key, verify=self.options.verify)
        return None if known is not None and known.state == "failed" and self.options.retry_failed else known

    def _skip(self, reel: Reel, known: Outcome) -> None:
        if known.state == "failed":
            self.summary.failed.append(known)
        else:
            self.summary.unchanged += 1
            self.summary.damaged += known.damaged > 0
        self.watcher.skipped(reel, known)

    def _consider(self, reel: Reel, recipe: Recipe, out: Path) -> None:
        key = _key(reel, recipe)
        known = self._settled(reel, key)
        if known is not None:
            self._skip(reel, known)
            return
        before = self.ledger.outcomes.get(reel.source)
        ours = before is not None and before.output == str(reel.output)
        work_dir = None if self.options.work_dir is None else job_folder(reel.output, out, self.options.work_dir)
        child = next((child for child in self._children if child.reel is None), None) or self._start()
        child.reel, child.recipe, child.key = reel, recipe, key
        self._begun += 1
        self.watcher.started(reel)
        task = Task(
            reel.source, reel.output, recipe.as_dict(), work_dir, self.options.overwrite or ours, child.device,
            self.options.precision, self.options.report, self.options.fixity,
        )  # fmt: skip
        with contextlib.suppress(OSError):  # it died just now: its sentinel says so next time
            child.pipe.send(task)

    def _start(self) -> _Child:
        devices = self.options.devices or (self.options.device,)
        taken = [child.device for child in self._children]
        threads = max(1, cores() // self.options.jobs)
        if self._engine is None:  # one cluster for all, reached once there is work
            self._engine = self.options.engine.reached()
        needs = ["restore.api", "restore.pages"]
        process, pipe = start(serve, threads, self._engine, name="restore-batch", daemon=False, needs=needs)
        child = _Child(process, pipe, min(devices, key=taken.count))
        self._children.append(child)
        return child

    def _listen(self) -> None:
        ready = wait([c.pipe for c in self._children] + [c.process.sentinel for c in self._children], _POLL)
        for child in [c for c in self._children if c.pipe in ready or c.process.sentinel in ready]:
            try:
                while child.pipe.poll():
                    self._take(child, *child.pipe.recv())
            except (EOFError, ConnectionResetError):
                self._died(child)

    def _take(self, child: _Child, kind: str, content: Any) -> None:
        reel = child.reel
        if reel is None:
            return
        if kind == PROGRESS:
            self.watcher.progress(reel, content)
            return
        child.reel = None
        if kind == DONE:
            self.summary.done += 1
            self.summary.damaged += content["damaged"] > 0
            self._write(reel, child.key, "done", **content)
        elif kind == FAILED:
            name, error, facts = content
            self._write(reel, child.key, "failed", kind=name, error=error, facts=facts)
        elif kind == NO_ROOM:
            raise DiskFullError(content)
        elif kind == NO_CLUSTER:
            raise ClusterError(content)
        elif kind != STOPPED:
            raise PlanError(f"{reel.source}: the child process said {kind!r}, which means nothing")

    def _died(self, child: _Child) -> None:
        child.process.join()
        self._children.remove(child)
        child.pipe.close()
        if child.reel is None:
            return
        if child.reel.source not in self._died_once:  # it may have been the machine's fault: once more
            self._died_once.add(child.reel.source)
            assert child.recipe is not None
            self._again.append((child.reel, child.recipe))
            return
        facts = None
        with contextlib.suppress(OSError):
            facts = FileFacts.of(child.reel.source).hashed(child.reel.source)
        error = f"{child.reel.source}: its process died (exit code {child.process.exitcode}: out of memory?)"
        self._write(child.reel, child.key, "failed", kind="EngineError", error=error, facts=facts)

    def _write(self, reel: Reel, key: str, state: Any, **facts: Any) -> None:
        outcome = Outcome(
            reel.source, str(reel.output), state, key, finished=datetime.now(UTC).isoformat(timespec="seconds"), **facts
        )  # fmt: skip
        self.ledger.add(outcome)
        if outcome.state == "failed":
            self.summary.failed.append(outcome)
        self.watcher.finished(reel, outcome)

    def close(self) -> None:
        """Stop running jobs, which keep what they did, and end the child processes."""
        for child in self._busy():
            with contextlib.suppress(OSError):
                child.pipe.send(STOP)
        deadline = time.monotonic() + 30
        for child in self._children:
            while child.reel is not None and time.monotonic() < deadline and child.process.is_alive():
                with contextlib.suppress(EOFError, OSError):
                    if child.pipe.poll(_POLL) and child.pipe.recv()[0] != PROGRESS:
                        break
            child.pipe.close()
            child.process.join(5)
            if child.process.is_alive():
                child.process.kill()
                child.process.join()
        self._children.clear()


def job_folder(output: Path, out: Path, work_dir: Path | None) -> Path:
    """The job folder of an output below `out`: beside it, or at the same place below `work_dir`."""
    if work_dir is None:
        return output.with_name(f"{output.name}.restore")
    return work_dir / output.relative_to(out).parent / f"{output.name}.restore"


def _key(reel: Reel, recipe: Recipe) -> str:
    text = json.dumps({"recipe": recipe.as_dict(), "output": str(reel.output)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _column(recipe: Recipe, reel: Reel) -> str:
    """Which of a reel's overrides is wrong by itself, for a message."""
    for name, column in reel.columns.items():
        try:
            recipe.with_values({name: reel.settings[name]})
        except OptionError:
            return f", column {column}"
    return ""


def recipes(base: Recipe | None, load: Callable[[str], Recipe]) -> Callable[[Reel], Recipe]:
    """How a reel's recipe is found: its own, or `base`, with its overrides. `load` reads one by name, once each."""
    loaded: dict[str, Recipe] = {}

    def recipe_of(reel: Reel) -> Recipe:
        if reel.recipe is not None and reel.recipe not in loaded:
            loaded[reel.recipe] = load(reel.recipe)
        recipe = loaded[reel.recipe] if reel.recipe is not None else base
        if recipe is None or not recipe.stages:
            where = f"{reel.place}: " if reel.place else ""
            raise OptionError(f"{where}no recipe: name one with --recipe, or in the manifest's recipe column")
        try:
            return recipe.with_values(reel.settings) if reel.settings else recipe
        except OptionError as error:
            raise OptionError(f"{reel.place}{_column(recipe, reel)}: {error}") from None

    return recipe_of
