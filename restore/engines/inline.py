"""Segments one after another, in this process."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from threading import Lock, Thread

from restore.pipeline.journal import Entry
from restore.pipeline.render import RenderTask, SegmentRenderer, Work
from restore.pipeline.study import Analyst, Study

_MOST = 4
"""Shots analysed at a time, at most: each takes some memory."""


class InlineEngine:
    """The simplest engine, and the reference for all others."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """Where the time of the last run went; see `Chain.seconds`."""

    def run(
        self,
        task: RenderTask,
        works: Sequence[Work],
        on_entry: Callable[[Entry], None],
        on_frame: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        """See `Engine.run`."""

        def frame_done() -> None:
            on_frame()
            check()

        with SegmentRenderer(task) as renderer:
            for work in works:
                check()
                on_entry(renderer.render(work, frame_done))
            self.seconds = dict(renderer.chain.seconds)

    def analyse(
        self,
        task: RenderTask,
        studies: Sequence[Study],
        on_frames: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        """See `Engine.analyse`. On a processor of several cores, several shots at a time: no shot needs another's
        findings, and following what moves from frame to frame leaves most of the cores idle."""
        waiting = deque(sorted(studies, key=lambda study: -len(study.span)))
        lock = Lock()
        failed: list[BaseException] = []

        def work(own: RenderTask) -> None:
            try:
                with Analyst(own, studies[0].folder, studies[0].edits) as analyst:
                    while waiting and not failed:
                        with lock:
                            study = waiting.popleft() if waiting else None
                        if study is None:
                            return
                        analyst.study(study, checked)
                        with lock:
                            on_frames(len(study.span))
            except BaseException as error:
                failed.append(error)

        def checked() -> None:
            if failed:
                raise failed[0]
            check()

        tasks = [replace(task, stages=deepcopy(task.stages)) for _ in range(_at_once(task, len(studies)) - 1)]
        others = [Thread(target=work, args=(own,), name="restore-analyse", daemon=True) for own in tasks]
        for thread in others:
            thread.start()
        work(task)
        for thread in others:
            thread.join()
        if failed:
            raise failed[0]


def _at_once(task: RenderTask, studies: int) -> int:
    """How many shots are analysed at a time: networks keep the cores busy by themselves, and take memory."""
    if task.device.torch_device.type != "cpu" or any(stage.weights() for stage in task.picture_stages):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(studies, cores, _MOST)
