"""Overlapping reading, computing and writing: bounded queues between threads, always drained, errors passed on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
_END = object()


class Prefetch(Generic[Item]):
    """Runs an iterator in a thread of its own, at most `depth` items ahead. Close it, or exhaust it."""

    def __init__(self, iterator: Iterator[Item], depth: int) -> None:
        self._queue: queue.Queue[object] = queue.Queue(depth)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._iterator = iterator
        self._thread = threading.Thread(target=self._run, name="restore-read", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for item in self._iterator:
                if not self._put(item):
                    return
        except BaseException as error:
            self._error = error
        finally:
            close = getattr(self._iterator, "close", None)
            if close is not None:
                close()
            self._put(_END)

    def _put(self, item: object) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        item = self._queue.get()
        if item is _END:
            self._queue.put(_END)
            if self._error is not None:
                raise self._error
            raise StopIteration
        return item  # type: ignore[return-value]

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                break
        self._thread.join()


class Drain(Generic[Item]):
    """Hands items to `consume` in a thread of its own, at most `depth` waiting. A context manager.

    The first error of `consume` is raised by the next `put`, or on leaving.
    """

    def __init__(self, consume: Callable[[Item], None], depth: int) -> None:
        self._queue: queue.Queue[object] = queue.Queue(depth)
        self._consume = consume
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="restore-write", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (item := self._queue.get()) is not _END:
            if self._error is None:
                try:
                    self._consume(item)  # type: ignore[arg-type]
                except BaseException as error:
                    self._error = error

    def put(self, item: Item) -> None:
        """Hand over one item, waiting while the queue is full."""
        if self._error is not None:
            raise self._error
        self._queue.put(item)

    def __enter__(self) -> Drain[Item]:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._queue.put(_END)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error
