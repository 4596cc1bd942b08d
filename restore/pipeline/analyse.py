"""The rounds after the listing: each stage's analyzer, shot by shot, in the order of the recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from restore.frames import Frame, Shot
from restore.pipeline.arrays import PlanArrays, save_arrays
from restore.pipeline.chain import Chain
from restore.pipeline.contract import Analyzer, Stage
from restore.pipeline.index import FrameIndex
from restore.pipeline.plan import Edits, Plan, edited_values
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
        self._ready: set[int] = set()
        facts = stage_facts(chain.stages)
        self._facts: list[list[Any]] = [[f, list(s.window())] for s, f in zip(chain.stages, facts, strict=True)]
        self._analysed = [
            [{**f[0], "options": s.analysed()}, f[1]] for s, f in zip(chain.stages, self._facts, strict=True)
        ]

    def values(self, shot: Shot) -> list[dict[str, Any]]:
        """What every stage is told about a shot, edits applied."""
        found = self.plan.load_shot(shot)["stages"]
        return [self._values_of(place, shot, found) for place in range(len(self.chain.stages))]

    def _values_of(self, place: int, shot: Shot, found: dict[str, Any]) -> dict[str, Any]:
        stage = self.chain.stages[place]
        entry = found.get(stage_key(place, stage.name), {})
        values = edited_values(self.edits, stage, shot, self.index, entry.get("settled", entry.get("values", {})))
        path = self.plan.arrays_path(entry)
        return values if path is None or not path.exists() else {**values, "arrays": PlanArrays(path)}

    def _studied(self, place: int, shot: Shot) -> dict[str, Any]:
        """What the person set for a shot that the analyzer must know of."""
        stage = self.chain.stages[place]
        if not stage.studied:
            return {}
        said = edited_values(self.edits, stage, shot, self.index, {})
        return {name: value for name, value in said.items() if name in stage.studied}

    def _signature(self, place: int, shot: Shot, values: Sequence[dict[str, Any]]) -> str:
        """What the findings of one analyzer depend on: its stage, and all that shapes what reaches it."""
        if self.chain.stages[place].film_wide:  # sees the source
            return digest({"stage": self._analysed[place], "transfer": self.chain.converter.transfer})
        known: dict[str, Any] = {
            "stages": [*self._facts[:place], self._analysed[place]], "values": list(values[:place]),
            "transfer": self.chain.converter.transfer,
        }  # fmt: skip
        stage = self.chain.stages[place]
        for name, more in (
            ("studied", self._studied(place, shot)), ("concerns", stage.concerns(shot, self.index)),
        ):  # fmt: skip
            if more:
                known[name] = more
        return digest(known)

    def pending(self, shots: Iterable[Shot]) -> list[Shot]:
        """Those of the shots that have something left to find out."""
        return [shot for shot in shots if self._stale(shot) is not None]

    def _stale(self, shot: Shot) -> int | None:
        found = self.plan.load_shot(shot)["stages"]
        values = self.values(shot)
        for place, stage in enumerate(self.chain.stages):
            if self._analyzer(place) is None:
                continue
            entry = found.get(stage_key(place, stage.name), {})
            path = self.plan.arrays_path(entry)
            gone = path is not None and not path.exists()
            if gone or entry.get("by") != self._signature(place, shot, values):
                return place
        return None

    def _analyzer(self, place: int) -> Analyzer | None:
        if place not in self._opened:
            analyzer = self.chain.stages[place].analyzer()
            if analyzer is not None:
                analyzer.film(self.index)
            self._opened[place] = analyzer
        return self._opened[place]

    def _film_wide(self) -> list[int]:
        return [place for place, stage in enumerate(self.chain.stages) if stage.film_wide]

    def unsettled(self, shots: Iterable[Shot]) -> list[Shot]:
        """Those of the film's shots that stages which settle over all of it have yet to watch."""
        return [shot for shot in shots if any(self._unwatched(place, shot) for place in self._film_wide())]

    def _unwatched(self, place: int, shot: Shot) -> bool:
        found = self.plan.load_shot(shot)["stages"].get(stage_key(place, self.chain.stages[place].name), {})
        return bool(found.get("by") != self._signature(place, shot, []))

    def watch(self, shot: Shot, check: Callable[[], None]) -> None:
        """Let stages that settle over the whole film watch one of its shots."""
        for place in self._film_wide():
            if self._unwatched(place, shot):
                self._find(place, shot, check)

    def settle(self, shots: Sequence[Shot]) -> None:
        """Write into each shot's plan what the whole film comes to."""
        for place in self._film_wide():
            stage = self.chain.stages[place]
            key = stage_key(place, stage.name)
            plans = [self.plan.load_shot(shot) for shot in shots]
            stage.introduce([said.model_dump() for said in self.edits.people])
            found = stage.settle([plan["stages"][key]["values"] for plan in plans])
            for shot, plan, values in zip(shots, plans, found, strict=True):
                if plan["stages"][key].get("settled") != values:
                    plan["stages"][key]["settled"] = values
                    self.plan.save_shot(shot, plan)

    def run(self, shot: Shot, check: Callable[[], None]) -> None:
        """Find out what is stale of a shot; each stage's findings are written down before the next one's begin."""
        while (place := self._stale(shot)) is not None:
            self._find(place, shot, check)

    def _find(self, place: int, shot: Shot, check: Callable[[], None]) -> None:
        """Let one stage's analyzer watch one shot, and write down what it found."""
        analyzer = self._analyzer(place)
        assert analyzer is not None
        if place not in self._ready:
            analyzer.open(self.chain.device)
            self._ready.add(place)
        found = self.plan.load_shot(shot)
        values = self.values(shot)
        analyzer.heed(self._studied(place, shot))
        result = self.chain.findings(analyzer, place, self.read, shot, values, check)
        key = stage_key(place, self.chain.stages[place].name)
        entry = {"by": self._signature(place, shot, values), "values": result}
        beside = self.plan.shot_path(shot).with_suffix(f".{key}.npz")
        if save_arrays(beside, _checked(analyzer.arrays(), check)):
            entry["arrays"] = beside.name
        found["stages"][key] = entry
        self.plan.save_shot(shot, found)


def _checked(arrays: Iterable[tuple[str, Any]], check: Callable[[], None]) -> Iterator[tuple[str, Any]]:
    for named in arrays:
        check()
        yield named
