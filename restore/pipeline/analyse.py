"""The rounds after the listing: each stage's analyzer, shot by shot, in the order of the recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any

from restore.frames import Frame, FrameBatch, Shot
from restore.pipeline.chain import Chain
from restore.pipeline.contract import Analyzer, Stage
from restore.pipeline.index import FrameIndex
from restore.pipeline.plan import Edits, Plan, edited_values
from restore.pipeline.progress import Meter
from restore.pipeline.segments import digest


def stage_key(place: int, name: str) -> str:
    """How a stage of the recipe is called in the plan: a recipe may have the same one twice."""
    return f"{place + 1}-{name}"


def stage_facts(stages: Sequence[Stage[Any]]) -> list[dict[str, Any]]:
    """What identifies the stages of a job, for keys."""
    return [{"name": s.name, "version": s.version, "options": s.effective(), "weights": s.weights()} for s in stages]


class Analysis:
    """Brings the plan of chosen shots up to date."""

    def __init__(
        self, plan: Plan, edits: Edits, index: FrameIndex, chain: Chain, read: Callable[[range], Iterable[Frame]]
    ) -> None:
        self.plan, self.edits, self.index = plan, edits, index
        self.chain, self.read = chain, read
        self._opened: dict[int, Analyzer | None] = {}
        self._facts = [
            [facts, list(s.window())] for s, facts in zip(chain.stages, stage_facts(chain.stages), strict=True)
        ]

    def values(self, shot: Shot) -> list[dict[str, Any]]:
        """What every stage is told about a shot, edits applied."""
        found = self.plan.load_shot(shot)["stages"]
        return [self._values_of(place, shot, found) for place in range(len(self.chain.stages))]

    def _values_of(self, place: int, shot: Shot, found: dict[str, Any]) -> dict[str, Any]:
        stage = self.chain.stages[place]
        own = found.get(stage_key(place, stage.name), {}).get("values", {})
        return edited_values(self.edits, stage, shot, self.index, own)

    def _signature(self, place: int, values: Sequence[dict[str, Any]]) -> str:
        """What the findings of one analyzer depend on: its stage, and all that shapes what reaches it."""
        facts = self._facts[: place + 1]
        return digest({"stages": facts, "values": list(values[:place]), "transfer": self.chain.converter.transfer})

    def pending(self, shots: Iterable[Shot]) -> list[Shot]:
        """Those of the shots that have something left to find out."""
        return [shot for shot in shots if self._stale(shot) is not None]

    def _stale(self, shot: Shot) -> int | None:
        found = self.plan.load_shot(shot)["stages"]
        values = self.values(shot)
        for place, stage in enumerate(self.chain.stages):
            if self._analyzer(place) is None:
                continue
            if found.get(stage_key(place, stage.name), {}).get("by") != self._signature(place, values):
                return place
        return None

    def _analyzer(self, place: int) -> Analyzer | None:
        if place not in self._opened:
            self._opened[place] = self.chain.stages[place].analyzer()
        return self._opened[place]

    def run(self, shots: Sequence[Shot], meter: Meter, check: Callable[[], None]) -> None:
        """Analyse what is stale, shot by shot; each is written down before the next begins."""
        ready: set[int] = set()
        for shot in shots:
            while (place := self._stale(shot)) is not None:
                analyzer = self._analyzer(place)
                assert analyzer is not None
                if place not in ready:
                    analyzer.open(self.chain.device)
                    ready.add(place)
                found = self.plan.load_shot(shot)
                values = self.values(shot)
                result = self._watch(analyzer, place, shot, values, check)
                stage = self.chain.stages[place]
                found["stages"][stage_key(place, stage.name)] = {
                    "by": self._signature(place, values), "values": result
                }  # fmt: skip
                self.plan.save_shot(shot, found)
            meter.add(len(shot))

    def _watch(
        self, analyzer: Analyzer, place: int, shot: Shot, values: list[dict[str, Any]], check: Callable[[], None]
    ) -> dict[str, Any]:
        upto = place if analyzer.sees == "input" else 0
        domain = self.chain.stages[place].domain
        format = self.chain.formats[upto]
        analyzer.begin(shot, format)
        wanted = analyzer.wanted(shot)
        for core in _runs(wanted):
            made = self.chain.pictures(self.read, shot, core, values, upto=upto, stand_in=True)
            with closing(self.chain.ahead(made)) as pictures:
                for picture in pictures:
                    check()
                    pixels = self.chain.converter.pixels([picture], domain)
                    analyzer.add(FrameBatch(pixels, (picture.pts,), slice(0, 1), (True,), shot.number, format))
        return analyzer.finish()


def _runs(wanted: range) -> list[range]:
    """A sparse range as single frames, a dense one whole."""
    return [wanted] if abs(wanted.step) == 1 else [range(frame, frame + 1) for frame in wanted]
