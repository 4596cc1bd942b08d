"""What engines with workers share: handing out segments and shots, and doing again what a dead worker left undone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence

from restore.errors import EngineError, OptionError
from restore.pipeline.journal import Entry
from restore.pipeline.render import RenderTask, Work
from restore.pipeline.study import Study

Piece = Work | Study
"""A segment to render, or a shot to analyse."""

_TRIES = 3
"""How often a piece is begun before its workers' deaths are taken for its own fault."""


class Session(ABC):
    """Some pieces of one job, to be done by an engine's workers.

    Args:
        retried: gets the key of every piece that is begun again after a worker's death.
        task: what the pieces belong to.
        pieces: segments, or shots, each of them once.
        on_entry: called as each is done; None stands for a shot.
        on_frame: called for every frame done.
    """

    def __init__(
        self, retried: list[str], task: RenderTask, pieces: Sequence[Piece],
        on_entry: Callable[[Entry | None], None], on_frame: Callable[[], None],
    ) -> None:  # fmt: skip
        self.task = task
        self.waiting = deque(sorted(pieces, key=lambda piece: -len(piece.span)))  # so that none is left for last
        self.left = len(pieces)
        self._retried, self._on_entry, self._on_frame = retried, on_entry, on_frame
        self._begun: dict[str, int] = {}

    @abstractmethod
    def run(self, check: Callable[[], None]) -> None:
        """Have all of them done; `check` is called often, and raises to stop. No worker is left at work after it."""

    def count(self, frames: int) -> None:
        """So many frames are done."""
        for _ in range(frames):
            self._on_frame()

    def done(self, entry: Entry | None) -> None:
        """A piece is done."""
        self._on_entry(entry)
        self.left -= 1

    def again(self, piece: Piece, why: str) -> None:
        """Put a dead worker's piece first in the line. Raises EngineError if it was begun too often."""
        begun = self._begun[piece.key] = self._begun.get(piece.key, 0) + 1
        if begun >= _TRIES:
            raise EngineError(
                f"frames {piece.span.start} to {piece.span.stop - 1}: {begun} workers died on them ({why}); use fewer "
                "--workers, or --engine inline"
            )
        self._retried.append(piece.key)
        self.waiting.appendleft(piece)


class WorkerEngine(ABC):
    """An engine whose workers take a piece each; one that dies costs its piece, which another one does.

    Args:
        workers: how many; the engine's own choice if None.
    """

    def __init__(self, workers: int | None) -> None:
        if workers is not None and workers < 1:
            raise OptionError(f"{workers} workers cannot work: give at least 1")
        self.workers = workers
        self.retried: list[str] = []
        """Keys of pieces that were begun again after a worker's death."""

    @abstractmethod
    def session(
        self, task: RenderTask, pieces: Sequence[Piece], on_entry: Callable[[Entry | None], None],
        on_frame: Callable[[], None],
    ) -> Session:  # fmt: skip
        """What does these pieces. Raises EngineError where workers cannot be had."""

    def run(
        self,
        task: RenderTask,
        works: Sequence[Work],
        on_entry: Callable[[Entry], None],
        on_frame: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        """See `Engine.run`. Raises EngineError for a segment whose workers keep dying, and as `session` does."""

        def done(entry: Entry | None) -> None:
            assert entry is not None
            on_entry(entry)

        self.session(task, works, done, on_frame).run(check)

    def analyse(
        self,
        task: RenderTask,
        studies: Sequence[Study],
        on_frames: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        """See `Engine.analyse`. Raises EngineError as `run` does."""
        self.session(task, studies, lambda _: None, lambda: on_frames(1)).run(check)
