"""What the commands that run a preset share: which of its stages run, how strongly, and writing it down as a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from restore import __version__
from restore.cli.job import with_io
from restore.cli.options import option_for
from restore.errors import OutputError, OutputExistsError
from restore.files import write_text
from restore.presets import as_toml, preset, preset_stages
from restore.recipe import Recipe
from restore.stages import options_of
from restore.voice import SOUND

_SIZE = ("scale", "height")
"""Options of `upscale` that have a flag of their own."""


def preset_options(name: str) -> list[click.Option]:
    """Options of a command that runs a preset."""
    stages = ", ".join(preset_stages(name))
    size = options_of("upscale").model_fields
    quiet = click.Option(["--no-sound"], is_flag=True, help="Copy the sound as it is; like --skip for each.")
    return [
        click.Option(["--strength"], type=click.FloatRange(0, 1), metavar="NUMBER",
                     help="Of all stages at once, times each one's own; 0 changes nothing but the size. [default: 1]"),
        click.Option(["--set", "changes"], multiple=True, metavar="STAGE.OPTION=VALUE",
                     help="An option of one stage, as its command and docs/STAGE.md have it; may be repeated."),
        click.Option(["--skip"], multiple=True, metavar="STAGE", help=f"Leave a stage out; repeatable: {stages}."),
        click.Option(["--only"], multiple=True, metavar="STAGE", help="Keep this stage alone; repeatable."),
        *(option_for(option, size[option]) for option in _SIZE),
        click.Option(["--no-upscale"], is_flag=True, help="Keep the size; the same as --skip upscale."),
        *([quiet] if any(stage in SOUND for stage in preset_stages(name)) else []),
        click.Option(["--write-recipe"], type=click.Path(path_type=Path), metavar="PATH",
                     help="Write what would run as a recipe, to edit and hand to restore run; render nothing."),
    ]  # fmt: skip


def preset_recipe(name: str, values: dict[str, Any]) -> Recipe:
    """The recipe that the command line asks for; takes its options out of Click's `values`. Raises OptionError."""
    size = [f"upscale.{option}={value}" for option in _SIZE if (value := values.pop(option)) is not None]
    changes, skip = [*size, *values.pop("changes")], list(values.pop("skip"))
    if values.pop("no_upscale"):
        skip.append("upscale")
    if values.pop("no_sound", False):
        skip += [stage for stage in preset_stages(name) if stage in SOUND]
    recipe = preset(name, changes=changes, skip=skip, only=values.pop("only"), strength=values.pop("strength"))
    return with_io(recipe, values)


def write_recipe(name: str, recipe: Recipe, path: Path, overwrite: bool) -> None:
    """Write a recipe for a person to edit, whole or not at all. Raises OutputExistsError, OutputError."""
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path}: exists already; add --overwrite to replace it")
    head = (
        f"What `restore {name}` does, by restore {__version__}. Change what you like, then:\n"
        f"  restore run SOURCE OUTPUT --recipe {path.name}\n"
        "Lines that begin with # say what an option is if nothing is set."
    )
    try:
        write_text(path, as_toml(recipe, head))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
    click.echo(f"{path}: written; edit it, then: restore run SOURCE OUTPUT --recipe {path}", err=True)
