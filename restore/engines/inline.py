"""Segments one after another, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from restore.pipeline.journal import Entry
from restore.pipeline.render import RenderTask, SegmentRenderer, Work
from restore.pipeline.study import Analyst, Study


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
        """See `Engine.analyse`."""
        with Analyst(task, studies[0].folder, studies[0].edits) as analyst:
            for study in studies:
                analyst.study(study, check)
                on_frames(len(study.span))
