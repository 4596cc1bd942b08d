"""`restore versions`: a sweep of settings onto a contact sheet, and the choice of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restore.cli.job import Voice, stopping
from restore.cli.options import GroupedCommand, given, option_for, options_for, validated
from restore.cli.sweeps import SweepGroup
from restore.media.options import InputOptions
from restore.stages import options_of

if TYPE_CHECKING:
    from restore.numbered import Kept

_STAGE = "reage"
_FIXED = ("actor", "at", "detector", "zone", "consent", "own_work", "test_material")
_HIDDEN = ("show", "show_as")

_HELP = """\
Render stills of one actor of SOURCE with many settings, side by side, each with a number.

Every option of restore reage is taken. Those of which several values are given, with commas between, are combined;
keyframes stand in an option of their own (--to 25,30 --to 0:00=30,0:02=60). The contact sheet (PNG, and a page that
fetches nothing) and all settings are kept in the job folder SOURCE.restore; numbers go on from sweep to sweep.

\b
Examples:
  restore versions clip.mp4 --actor 2 --from 58 --to 25,30,35,40 --strength 0.5,0.8 --frames 3 --consent ann.toml
  restore versions clip.mp4 --to 30 --wrinkles 0.5,1,1.5 --seconds 2 --own-work "it is my own face"
  restore versions list clip.mp4
  restore versions pick 7
  restore reage clip.mp4 younger.mp4 --version 7
"""


def _swept() -> list[click.Option]:
    """The stage's options; those that may differ between versions take several values."""
    options = []
    for name, field in options_of(_STAGE).model_fields.items():
        option = option_for(name, field)
        if name in _HIDDEN:
            continue
        if name not in _FIXED:
            option = click.Option([*option.opts, name], multiple=True, metavar="VALUES", help=option.help)
        options.append(option)
    return options


def _job() -> list[click.Option]:
    return [
        click.Option(["--frames"], type=click.IntRange(1, 12), default=3, show_default=True, metavar="NUMBER",
                     help="Stills of each version, spread over the actor's time."),
        click.Option(["--seconds"], type=click.FloatRange(0, 20), default=0.0, metavar="NUMBER",
                     help="Also a short clip about each still, that long, put into the page."),
        click.Option(["--work-dir"], type=click.Path(path_type=Path), help="The job folder. [default: SOURCE.restore]"),
        click.Option(["--device"], default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."),
        click.Option(["--json", "as_json"], is_flag=True, help="Say everything as JSON, a line an event."),
        click.Option(["--quiet", "-q"], is_flag=True, help="Say nothing but errors."),
    ]  # fmt: skip


def several(texts: tuple[str, ...]) -> list[str]:
    """The values that an option was given: ``25,30`` are two, keyframes are one."""
    return [
        part for text in texts for part in ([text] if "=" in text else (p.strip() for p in text.split(","))) if part
    ]


def _sweep(
    source: str, frames: int, seconds: float, work_dir: Path | None, device: str, as_json: bool, quiet: bool,
    **values: Any,
) -> int:  # fmt: skip
    from restore import versions

    reading = validated(InputOptions, given(InputOptions, values))
    shared = {name: values[name] for name in _FIXED if values[name] not in (None, ())}
    names = [name for name in options_of(_STAGE).model_fields if name not in (*_FIXED, *_HIDDEN)]
    options = versions.grid(shared, {name: found for name in names if (found := several(values[name]))})
    with stopping() as stop, Voice(as_json, quiet).progress() as report:
        made = versions.sweep(
            source, options, work_dir, frames=frames, seconds=seconds, input=reading, device=device,
            on_progress=report, cancel=stop,
        )  # fmt: skip
    if as_json:
        listed = [{"number": v.number, "label": v.label, "options": v.options} for v in made.versions]
        facts = {"event": "versions", "job": str(made.folder), "sheet": str(made.sheet), "page": str(made.page)}
        click.echo(json.dumps({**facts, "versions": listed, "clips": [str(c) for c in made.clips]}, ensure_ascii=False))
    elif not quiet:
        for version in made.versions:
            click.echo(f"{version.number:4}  {version.label}")
        click.echo(f"sheet: {made.page}", err=True)
    return 0


def _kept(folder: Path) -> Kept:
    from restore.versions import load

    return load(folder)


def _choose(folder: Path, number: int, path: Path | None, overwrite: bool) -> Path:
    from restore.versions import pick

    return pick(folder, number, path, overwrite)


_SWEEP = GroupedCommand(
    "sweep",
    callback=_sweep,
    params=[click.Argument(["source"])],
    groups=[("Versions", _swept()), ("Source", options_for(InputOptions)), ("Job", _job())],
    help=_HELP,
)
versions = SweepGroup("versions", _SWEEP, "*/versions.json", _kept, _choose)
