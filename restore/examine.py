"""Looking before and after a run: what fields a film holds, its worst moments restored, what the analyses found."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from threading import Event

from restore.engines.inline import InlineEngine
from restore.errors import SourceNotFoundError
from restore.frames import Frame
from restore.media.open import open_source, probe
from restore.media.options import InputOptions
from restore.media.source import VideoSource
from restore.pipeline.job import Job, disk_errors
from restore.pipeline.lookup import shot_values
from restore.pipeline.preview import Moment, Previewer
from restore.pipeline.progress import OnProgress
from restore.pipeline.setup import Setup
from restore.recipe import Recipe
from restore.report.pairs import Pairs
from restore.report.plots import PLOTS, ShotValues
from restore.stages import build_stage
from restore.stages.deinterlace.survey import LENGTH, STRETCHES, FieldSurvey, survey
from restore.voice import SOUND

StrPath = str | os.PathLike[str]


def survey_fields(source: StrPath, input: InputOptions = InputOptions()) -> FieldSurvey | None:
    """Look at a few stretches of a film and tell progressive, interlaced and telecined apart.

    None for pictures and sequences of them, which hold no fields. Raises as `probe`.
    """
    info = probe(os.fspath(source), input)
    if info.kind != "film":
        return None
    length = info.duration or Fraction(0)
    frames = int(length * info.format.frame_rate)
    places = STRETCHES if frames > 4 * STRETCHES * LENGTH else 1
    stretches: list[list[Frame]] = []
    with open_source(os.fspath(source), input) as opened:
        assert isinstance(opened, VideoSource)
        for place in range(places):
            # Not its very beginning, which is black, and at the end nothing is left to look at.
            start = info.start + length * Fraction(2 * place + 1, 2 * places)
            found = opened.near(round(start / info.format.time_base)) if places > 1 else opened.frames()
            with closing(found) as stream:
                stretches.append(list(islice(stream, LENGTH if places > 1 else STRETCHES * LENGTH)))
    return survey(stretches, info.format, info.field_order)


def plot(job: StrPath) -> list[Path]:
    """Draw what the analyses of a job found, edits applied, into its folder: ``plots/2-deflicker.png`` and the like.

    Returns the files; a stage that found nothing to do has none. Raises SourceNotFoundError and PlanError.
    """
    folder = Path(job)
    if not (folder / "job.json").exists():
        raise SourceNotFoundError(f"{folder}: no job folder; give the one beside the output, OUTPUT.restore")
    with disk_errors(folder), Job(folder) as opened:
        recipe = Recipe.from_dict(opened.manifest.get("recipe", {}))
        stages = [build_stage(name, options) for name, options in recipe.stages if name not in SOUND]
        written = []
        for key, name, found in shot_values(opened, stages):
            if name in PLOTS:
                path = folder / "plots" / f"{key}.png"
                path.parent.mkdir(exist_ok=True)
                path.unlink(missing_ok=True)
                if PLOTS[name]([ShotValues(*shot) for shot in found], path):
                    written.append(path)
    return written


@dataclass(frozen=True)
class PreviewResult:
    """What a preview wrote."""

    film: Path
    """Pairs of source and result, side by side."""
    sheet: Path
    """A still of each moment."""
    moments: tuple[Moment, ...]


def preview(
    setup: Setup,
    *,
    seconds: float = 2.0,
    moments: int = 4,
    on_progress: OnProgress | None = None,
    cancel: Event | Callable[[], bool] | None = None,
) -> PreviewResult:
    """Render the worst moments of a film that `prepare_run` checked, side by side with the source.

    Written beside the output: ``OUTPUT.preview.mp4`` and ``OUTPUT.preview.png``, replaced if there. Pixels are those
    of the full run; what it can use of them is kept in its job folder.

    Args:
        setup: from `prepare_run`.
        seconds: length of each moment.
        moments: how many.
        on_progress, cancel: as in `run`.

    Raises RestoreError.
    """
    cancelled = cancel.is_set if isinstance(cancel, Event) else cancel or (lambda: False)
    previewer = Previewer(setup, InlineEngine(), on_progress, cancelled, moments=moments, seconds=seconds)
    # A pattern's %06d has no place in the name of one film.
    stem = re.sub(r"%0?\d*d", "", setup.request.output.stem).rstrip("_-. ") or "film"
    film, sheet = (setup.request.output.with_name(f"{stem}.preview{suffix}") for suffix in (".mp4", ".png"))
    with Pairs(film, sheet, setup.info.format, setup.output.format, setup.transfer) as pairs:
        found = previewer.preview(pairs.show)
    return PreviewResult(film, sheet, tuple(found))
