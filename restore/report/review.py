"""Reviewing a job shot by shot: what a person accepts, rejects, says and changes goes into ``edits.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from restore.errors import PlanError
from restore.media.options import InputOptions
from restore.pipeline.index import FrameIndex
from restore.pipeline.plan import Change, Edits, Plan, Reviewed
from restore.pipeline.stills import Rgb, shown_size
from restore.report.film import Film
from restore.report.job_report import read_manifest
from restore.report.page import clock, document, jpeg

NOTE = "review"
"""The note of changes that a review made; others in ``edits.json`` are never touched."""
_WIDE = 480


class Choice(BaseModel):
    """What a person decided about one shot."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: int = Field(ge=0)
    end: int = Field(gt=0)
    """Frames [start, end): a shot's, exactly."""
    verdict: Literal["accept", "reject", ""] = ""
    comment: str = Field("", max_length=4000)
    strengths: dict[str, float] = Field(default_factory=dict)
    """Stage to strength, 0 to 1, where it is to be another than the recipe's."""


@dataclass(frozen=True)
class ReviewedShot:
    """A shot as it is shown: a pair of stills, and what was said of it so far."""

    start: int
    end: int
    times: tuple[Fraction, Fraction]
    before: Rgb | None
    after: Rgb | None


class Review:
    """A job under review.

    Args:
        folder: the job's.
        strengths: the stages whose strength can be changed, with what the recipe says.

    Raises SourceNotFoundError or PlanError for what is no finished job.
    """

    def __init__(self, folder: Path, strengths: Mapping[str, float]) -> None:
        self.folder, self.strengths = folder, dict(strengths)
        self.manifest = read_manifest(folder)
        plan = Plan(folder)
        if not (plan.frames_path.exists() and plan.shots_path.exists()):
            raise PlanError(f"{folder}: has no list of frames yet; run the job first")
        self.edits_path = plan.edits_path
        self._index = FrameIndex.load(plan.frames_path)
        self._plan = plan
        self.shots = self._shots()

    def _shots(self) -> list[ReviewedShot]:
        index, plan = self._index, self._plan
        shots = plan.shots(plan.cuts(), index, Edits.load(plan.edits_path))
        begins = Fraction((self.manifest.get("finished") or {}).get("begins", 0)).limit_denominator(1_000_000)
        found = []
        options = InputOptions.model_validate(self.manifest["recipe"]["input"])
        with Film(self.manifest["source"]["path"], options) as before, Film(self.manifest["output"]) as after:
            size = shown_size(after.format, _WIDE)
            last = after.time(len(after) - 1)
            for shot in shots:
                start, end = index.span(shot.start, shot.end)
                middle = (start + end) / 2
                shown = 0 <= middle - begins <= last
                right = dict(after.stills([after.at(middle - begins)], size)) if shown else {}
                left = dict(before.stills([before.at(middle)], size)) if shown else {}
                found.append(
                    ReviewedShot(
                        shot.start, shot.end, (start, end), next(iter(left.values()), None),
                        next(iter(right.values()), None),
                    )
                )  # fmt: skip
        return found

    def choose(self, choice: Choice) -> None:
        """Write a choice into ``edits.json``. Raises PlanError if it is not about a shot of this job, or a strength
        cannot be."""
        if not any((shot.start, shot.end) == (choice.start, choice.end) for shot in self.shots):
            raise PlanError(f"frames {choice.start} to {choice.end}: no shot of this job has them")
        for stage, strength in choice.strengths.items():
            if stage not in self.strengths or not 0 <= strength <= 1:
                raise PlanError(f"{stage} {strength}: give one of {', '.join(self.strengths)} a strength from 0 to 1")
        with_choice(Edits.load(self.edits_path), choice, self.strengths).save(self.edits_path)

    def html(self, address: str) -> str:
        """The page; choices are sent to `address`."""
        edits = Edits.load(self.edits_path)
        body = "".join(self._shot_html(number, shot, edits) for number, shot in enumerate(self.shots, 1))
        name = Path(self.manifest["output"]).name
        head = (
            f"<header><h1>{escape(name)}</h1><p>What you choose is kept in edits.json at once. When you are through, "
            "run the same command again: only the shots you changed are rendered anew.</p></header>"
        )
        return document(f"Review of {name}", f'{head}<main data-address="{escape(address)}">{body}</main>')

    def _shot_html(self, number: int, shot: ReviewedShot, edits: Edits) -> str:
        said = said_of(edits, shot.start, shot.end)
        strengths = {**self.strengths, **{c.stage: c.set["strength"] for c in _ours(edits, shot.start, shot.end)}}
        pictures = "".join(
            f'<div class="still"><img alt="{label}" src="{jpeg(still)}"><span class="name left">{label}</span></div>'
            for label, still in (("source", shot.before), ("restored", shot.after))
            if still is not None
        )
        sliders = "".join(
            f'<label>{escape(stage)} <input type="range" min="0" max="1" step="0.05" name="{escape(stage)}" '
            f'value="{value:g}"><output>{value:g}</output></label>'
            for stage, value in strengths.items()
        )
        buttons = "".join(
            f'<button type="button" data-verdict="{verdict}" aria-pressed="{str(said.verdict == verdict).lower()}">'
            f"{label}</button>"
            for verdict, label in (("accept", "Accept"), ("reject", "Reject: leave the source"))
        )
        return (
            f'<section class="review" data-start="{shot.start}" data-end="{shot.end}"><h2>Shot {number}, '
            f'{clock(shot.times[0])} to {clock(shot.times[1])}</h2><div class="stills">{pictures}</div>'
            f'<div class="tools">{buttons}</div><div class="strengths">{sliders}</div>'
            f'<textarea rows="2" placeholder="Comment" aria-label="Comment">{escape(said.comment)}</textarea>'
            '<span class="small" role="status"></span></section>'
        )


def _span(start: int, end: int) -> tuple[str, str]:
    return f"{start}f", f"{end}f"


def said_of(edits: Edits, start: int, end: int) -> Reviewed:
    """What was said of a shot; an empty verdict if nothing was."""
    span = _span(start, end)
    found = [review for review in edits.reviews if (review.start, review.end) == span]
    return found[-1] if found else Reviewed.model_validate({"from": span[0], "to": span[1]})


def _ours(edits: Edits, start: int, end: int) -> Sequence[Change]:
    span = _span(start, end)
    return [c for c in edits.changes if (c.start, c.end) == span and c.note == NOTE and set(c.set) == {"strength"}]


def with_choice(edits: Edits, choice: Choice, strengths: Mapping[str, float]) -> Edits:
    """The edits with a choice laid in: what an earlier review of the shot set is replaced, all else stays."""
    span = _span(choice.start, choice.end)
    old = _ours(edits, choice.start, choice.end)
    wanted = dict.fromkeys(strengths, 0.0) if choice.verdict == "reject" else choice.strengths
    new: list[dict[str, Any]] = [
        {"from": span[0], "to": span[1], "stage": stage, "set": {"strength": strength}, "note": NOTE}
        for stage, strength in wanted.items()
        if strength != strengths[stage]
    ]
    reviews = [review for review in edits.reviews if (review.start, review.end) != span]
    if choice.verdict or choice.comment.strip():
        told = {"from": span[0], "to": span[1], "verdict": choice.verdict, "comment": choice.comment.strip()}
        reviews.append(Reviewed.model_validate(told))
    kept = [change for change in edits.changes if change not in old]
    return Edits(
        version=edits.version, cuts=edits.cuts, changes=(*kept, *(Change.model_validate(change) for change in new)),
        reviews=tuple(reviews),
    )  # fmt: skip
