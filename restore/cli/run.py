"""`restore run`: a recipe from a file, or stages in a chain on the line, or both."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from restore.cli.job import arguments, io_groups, run_job, with_io
from restore.cli.options import GroupedCommand, given, options_for
from restore.errors import OptionError
from restore.pipeline.contract import StageOptions
from restore.recipe import STAGES, Recipe


class _ChainCommand(GroupedCommand):
    """Takes everything from the first stage's name on as the chain."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = STAGES.names()
        first = next((place for place, word in enumerate(args) if place >= 2 and word in names), len(args))
        ctx.meta["restore.chain"] = args[first:]
        try:
            return super().parse_args(ctx, args[:first])
        except click.UsageError:
            for word in args[2:first]:
                if close := get_close_matches(word, names, 1):
                    ctx.fail(f"No such stage {word!r}. Did you mean {close[0]}?")
            raise


def parse_chain(words: list[str]) -> list[tuple[str, StageOptions]]:
    """``upscale --scale 2 denoise --strength 0.3`` to stages. Raises click's errors and OptionError."""
    if not words:
        return []
    names = STAGES.names()
    starts = [place for place, word in enumerate(words) if word in names]
    stages = []
    for start, stop in zip(starts, [*starts[1:], len(words)], strict=False):
        name = words[start]
        model = STAGES.options_of(name)
        command = click.Command(name, params=[*options_for(model)])
        context = command.make_context(name, words[start + 1 : stop], parent=click.get_current_context())
        stages.append((name, STAGES.parse(name, given(model, context.params))))
    return stages


def _run(source: str, output: Path, recipe_path: Path | None, **values: Any) -> int:
    chain = parse_chain(click.get_current_context().meta["restore.chain"])
    recipe = Recipe.load(recipe_path) if recipe_path is not None else Recipe(())
    recipe = with_io(recipe.with_stages(chain), values)
    if not recipe.stages:
        raise OptionError(f"nothing to do: name a --recipe, or stages ({', '.join(STAGES.names())})")
    return run_job(source, output, recipe, values)


run = _ChainCommand(
    "run",
    callback=_run,
    params=arguments(),
    groups=[
        (
            "Recipe",
            [
                click.Option(
                    ["--recipe", "recipe_path"],
                    type=click.Path(path_type=Path),
                    help="A TOML file; see docs/recipe.md.",
                )
            ],
        ),
        *io_groups(),
    ],
    options_metavar="[OPTIONS]",
    help="""Run a recipe on SOURCE, or the stages named after OUTPUT, in order.

    \b
    Examples:
      restore run reel.mp4 out.mp4 --recipe film.toml
      restore run reel.mp4 out.mp4 upscale --scale 2
      restore run reel.mp4 try.mp4 --start 0:10 --end 0:15 upscale --height 1080
    """,
    epilog=f"Stages: {', '.join(STAGES.names())}; `restore STAGE --help` lists the options of each.",
)
