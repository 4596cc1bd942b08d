"""`restore photo`: the preset for faded, scratched, creased photographs, one or many."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from restore.cli.job import io_groups, run_job
from restore.cli.options import GroupedCommand
from restore.cli.preset import preset_options, preset_recipe, write_recipe
from restore.errors import CancelledError, OptionError, RestoreError, SourceNotFoundError
from restore.recipe import Recipe

_HELP = """\
Restore photographs: faded colours and contrast, scratches, creases and specks, and enlarge them.

Each photograph is looked at by itself. Moderate by default; a sound picture is only enlarged. SOURCES are pictures and
folders of them; OUTPUT is a picture's name, or a folder, in which pictures keep their names. Every strength can be
reached: all at once with --strength, one by one with --set. What was found, and what you change of it, is in
PICTURE.restore beside each result.

\b
Examples:
  restore photo grandmother.jpg grandmother_restored.png
  restore photo grandmother.jpg mended.png --no-upscale --mask-out mask.png
  restore photo grandmother.jpg mended.png --set retouch.mask_in=mask.png --set refade.keep_tint=true
  restore photo album restored
  restore photo one.jpg two.jpg restored --only retouch --set retouch.sensitivity=0.7

\b
Exit status: 0 done, 1 none could be done, 2 wrong command line,
3 some could not be done, 130 interrupted.
"""


def _photo(sources: tuple[str, ...], output: Path, **values: Any) -> int:
    write_to, mask_out = values.pop("write_recipe"), values.pop("mask_out")
    recipe = preset_recipe("photo", values)
    if write_to is not None:
        write_recipe("photo", recipe, write_to, values["overwrite"])
        return 0
    pairs = list(_pairs(sources, output))
    shown = _showing_mask(recipe) if mask_out is not None else None
    masks = [mask for _, mask in _pairs(sources, mask_out, ".png")] if mask_out is not None else []
    if values["work_dir"] is not None and len(pairs) > 1:
        raise OptionError("--work-dir is for one photograph; several keep their job folders beside the results")
    states = []
    for number, (source, target) in enumerate(pairs):
        try:
            status = run_job(source, target, recipe, values)
            if shown is not None:
                _hand_on_edits(values["work_dir"], target, masks[number], values["dry_run"])
                status = max(status, run_job(source, masks[number], shown, {**values, "work_dir": None}))
        except CancelledError:
            raise
        except RestoreError as error:
            if len(pairs) == 1:
                raise
            click.echo(f"restore: {' '.join(str(error).split())}", err=True)
            status = 1
        states.append(status)
    if len(pairs) > 1 and any(states):
        print(f"restore: {sum(map(bool, states))} of {len(pairs)} photographs were not restored", file=sys.stderr)
    return 1 if all(state == 1 for state in states) else 3 if any(states) else 0


def _pairs(sources: Sequence[str], output: Path, suffix: str | None = None) -> Iterator[tuple[str, Path]]:
    """Each photograph and where it goes. Raises OptionError, SourceNotFoundError."""
    from restore.media.picture_formats import is_picture

    found = list(_pictures(sources))
    if len(sources) == 1 and not Path(sources[0]).is_dir() and is_picture(output) and not output.is_dir():
        yield sources[0], output
        return
    if output.is_file() or (is_picture(output) and not output.is_dir()):
        raise OptionError(f"{output}: several photographs go into a folder; name one")
    taken: dict[Path, Path] = {}
    for path in found:
        target = output / (path.name if suffix is None else path.stem + suffix)
        if target in taken:
            raise OptionError(f"{taken[target]} and {path} would both become {target}: restore them into two folders")
        if target.resolve() == path.resolve():
            raise OptionError(f"{path}: would be written over; name another folder")
        taken[target] = path
    output.mkdir(parents=True, exist_ok=True)
    yield from ((str(path), target) for target, path in taken.items())


def _pictures(sources: Sequence[str]) -> Iterator[Path]:
    from restore.media.picture_formats import is_picture

    for name in sources:
        path = Path(name)
        if path.is_dir():
            inside = sorted(child for child in path.iterdir() if child.is_file() and is_picture(child))
            if not inside:
                raise SourceNotFoundError(f"{path}: there are no pictures in it")
            yield from inside
        elif not path.exists():
            raise SourceNotFoundError(f"{path}: no such picture")
        elif not is_picture(path):
            raise OptionError(f"{path}: is no picture; for a film there is `restore film`")
        else:
            yield path


def _showing_mask(recipe: Recipe) -> Recipe:
    """The recipe up to `retouch`, which writes its mask."""
    names = [name for name, _ in recipe.stages]
    if "retouch" not in names:
        raise OptionError("--mask-out: retouch is left out, so there is no mask")
    stages = recipe.stages[: names.index("retouch") + 1]
    name, options = stages[-1]
    shown = (*stages[:-1], (name, options.model_copy(update={"show": "mask"})))
    return Recipe(shown, recipe.input, recipe.output)


def _hand_on_edits(work_dir: Path | None, target: Path, mask: Path, dry: bool) -> None:
    from restore.cli.stage import hand_on_edits
    from restore.pipeline.job import default_folder

    if not dry:
        hand_on_edits(work_dir or default_folder(target), default_folder(mask))


photo = GroupedCommand(
    "photo",
    callback=_photo,
    params=[
        click.Argument(["sources"], type=str, nargs=-1, required=True),
        click.Argument(["output"], type=click.Path(path_type=Path)),
    ],
    groups=[
        (
            "Photo",
            [
                *preset_options("photo"),
                click.Option(
                    ["--mask-out"],
                    type=click.Path(path_type=Path),
                    metavar="PATH",
                    help="Also write what retouch repairs, white on black; a folder for several photographs.",
                ),
            ],
        ),
        *io_groups(),
    ],
    help=_HELP,
)
