"""`restore versions`: a sweep of settings onto a contact sheet, and the choice of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from restore.cli.job import Voice, stopping
from restore.cli.options import GroupedCommand, given, option_for, options_for, validated
from restore.errors import OptionError
from restore.media.options import InputOptions
from restore.stages import options_of

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


class _Versions(click.Group):
    """A group whose first word may be a source: then a sweep is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help"):
            args = ["sweep", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["sweep", *args])

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sweep's help, and that of the other words."""
        sweep = self.commands["sweep"]
        sweep.format_help(click.Context(sweep, parent=ctx.parent, info_name="versions"), formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.commands[name].short_help or "") for name in ("list", "pick")])


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


versions = _Versions("versions", help=_HELP)
versions.add_command(
    GroupedCommand(
        "sweep",
        callback=_sweep,
        params=[click.Argument(["source"])],
        groups=[("Versions", _swept()), ("Source", options_for(InputOptions)), ("Job", _job())],
        help=_HELP,
    )
)


@versions.command("list", short_help="List the versions that were made of SOURCE.")
@click.argument("source", required=False)
@click.option("--work-dir", type=click.Path(path_type=Path), help="The job folder. [default: SOURCE.restore]")
def list_versions(source: str | None, work_dir: Path | None) -> int:
    """List the versions that were made of SOURCE; it may be left out where one folder here has versions."""
    from restore.versions import load

    for version in load(_folder(source, work_dir)).versions:
        click.echo(f"{version.number:4}  {version.label}")
    return 0


@versions.command(short_help="Choose a version: writes its recipe.")
@click.argument("number", type=click.IntRange(1))
@click.argument("source", required=False)
@click.option("--work-dir", type=click.Path(path_type=Path), help="The job folder. [default: SOURCE.restore]")
@click.option("--recipe", "-o", "path", type=click.Path(path_type=Path),
              help="Where to write it. [default: version-NUMBER.toml in the job folder]")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a recipe that is there.")
def pick(number: int, source: str | None, work_dir: Path | None, path: Path | None, overwrite: bool) -> int:
    """Choose version NUMBER of SOURCE: its recipe is written, for restore run, and the choice noted.

    SOURCE may be left out where one folder here has versions.
    """
    from restore.versions import pick as choose

    written = choose(_folder(source, work_dir), number, path, overwrite)
    click.echo(f"{written}: restore run SOURCE OUTPUT --recipe {written}")
    return 0


def _folder(source: str | None, work_dir: Path | None) -> Path:
    """The job folder that is meant. Raises OptionError where that is not clear."""
    from restore.pipeline.job import default_folder

    if work_dir is not None:
        return work_dir
    if source is not None:
        return default_folder(Path(source))
    found = sorted(path.parent for path in Path().glob("*/versions.json"))
    if len(found) != 1:
        what = f"several folders here have versions ({', '.join(map(str, found))})" if found else "no versions are here"
        raise OptionError(f"{what}: name the SOURCE they are of, or --work-dir")
    return found[0]
