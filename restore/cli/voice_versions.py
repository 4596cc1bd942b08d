"""`restore voice-versions`: a worn voice's repair in many strengths, to listen to, and the choice of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restore.cli.job import Voice, stopping
from restore.cli.options import GroupedCommand, options_for
from restore.cli.sweeps import SweepGroup
from restore.cli.voice import spoken, stage_options, voice_recipe
from restore.media.options import InputOptions
from restore.voice import SOUND

if TYPE_CHECKING:
    from restore.numbered import Kept

_STAGE = "repair-voice"
_SWEPT = {"strengths": "strength", "steadiness": "steadiness", "smoothness": "smoothness", "tones": "tone"}
"""Options that take several values, and what they set."""
_HELP = """\
Repair the worn voice of SOURCE with many strengths, into numbered sound files and a page to listen and choose.

Of options with several values, commas between, every combination is made. Before the repair comes what restore voice
does by default, or what you switch. Files, settings and the page, which fetches nothing, are kept in
SOURCE.restore/voice-versions; numbers go on from sweep to sweep.

\b
Examples:
  restore voice-versions clip.mp4 --reference 1962.wav --strengths 0.3,0.6,0.9 --consent ann.toml
  restore voice-versions talk.wav --start 1:20 --end 1:35 --smoothness 0.4,0.8 --own-work "it is my own voice"
  restore voice-versions list
  restore voice-versions pick 2
"""


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> list[float]:
    """``0.3,0.6,0.9`` as a list. Raises BadParameter."""
    try:
        found = [float(part) for part in (value or "").split(",") if part.strip()]
    except ValueError:
        found = []
    if value is not None and (not found or not all(0 <= number <= 1 for number in found)):
        raise click.BadParameter(f"{value!r}: takes numbers from 0 to 1, with commas between: 0.3,0.6,0.9", ctx, param)
    return found


def _swept() -> list[click.Option]:
    fields = SOUND.options_of(_STAGE).model_fields
    several = [
        click.Option(
            [f"--{name}", f"several__{option}"], callback=_numbers, metavar="NUMBERS", help=fields[option].description
        )
        for name, option in _SWEPT.items()
    ]
    fixed = [
        option for option in stage_options(_STAGE)[1:]
        if option.name is not None and option.name.split("__")[1] not in _SWEPT.values()
    ]  # fmt: skip
    return [*several, *fixed]


def _job() -> list[click.Option]:
    return [
        *(option for option in options_for(InputOptions) if option.name == "tracks"),
        click.Option(["--start"], metavar="TIME", help="Try from here: 83.5, 1:23.5, 00:01:23:12."),
        click.Option(["--end"], metavar="TIME", help="Try up to here, likewise."),
        click.Option(["--work-dir"], type=click.Path(path_type=Path), help="The job folder. [default: SOURCE.restore]"),
        click.Option(["--device"], default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."),
        click.Option(["--json", "as_json"], is_flag=True, help="Say everything as JSON, a line an event."),
        click.Option(["--quiet", "-q"], is_flag=True, help="Say nothing but errors."),
    ]  # fmt: skip


def _sweep(
    source: str, start: str | None, end: str | None, work_dir: Path | None, device: str,
    as_json: bool, quiet: bool, **values: Any,
) -> int:  # fmt: skip
    from restore import worn_voice

    several = {option: values.pop(f"several__{option}") for option in _SWEPT.values()}
    for option in (*_SWEPT.values(), "on"):
        values[f"repair_voice__{option}"] = True if option == "on" else None
    for option in ("reference", "consent"):  # the recipe will be run from elsewhere
        if values[f"repair_voice__{option}"] is not None:
            values[f"repair_voice__{option}"] = str(Path(values[f"repair_voice__{option}"]).absolute())
    recipe = voice_recipe(values)
    with stopping() as stop, Voice(as_json, quiet).progress() as report:
        made = worn_voice.sweep(
            source, worn_voice.grid(recipe, several), work_dir, start=start, end=end, device=device,
            on_progress=report, cancel=stop,
        )  # fmt: skip
    if as_json:
        listed = [
            {"number": version.number, "label": version.label, "file": str(file)}
            for version, file in zip(made.versions, made.files, strict=True)
        ]
        facts = {"event": "versions", "job": str(made.folder), "page": str(made.page), "versions": listed}
        click.echo(json.dumps(facts, ensure_ascii=False))
    elif not quiet:
        for version, file in zip(made.versions, made.files, strict=True):
            click.echo(f"{version.number:4}  {version.label}  {file}")
        click.echo(f"listen: {made.page}", err=True)
    return 0


def _kept(folder: Path) -> Kept:
    from restore.worn_voice import versions_of

    return versions_of(folder)


def _choose(folder: Path, number: int, path: Path | None, overwrite: bool) -> Path:
    from restore.worn_voice import pick

    return pick(folder, number, path, overwrite)


_SWEEP = GroupedCommand(
    "sweep",
    callback=_sweep,
    params=[click.Argument(["source"])],
    groups=[
        ("Versions", _swept()),
        *((spoken(name).capitalize(), stage_options(name)) for name in SOUND.names() if name != _STAGE),
        ("Job", _job()),
    ],
    help=_HELP,
)
voice_versions = SweepGroup("voice-versions", _SWEEP, "*/voice-versions/versions.json", _kept, _choose)
