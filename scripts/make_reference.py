"""Writes the tables of options in `docs/` from the option models.

    python scripts/make_reference.py

What stands between ``<!-- options -->`` and ``<!-- /options -->`` is replaced: in `docs/STAGE.md` by the stage's
options, in `docs/voice.md` by those of all stages of the sound, in `docs/recipe.md` by those of reading and writing.
`tests/test_docs.py` fails if the tables are out of date.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from restore.cli.options import option_for
from restore.cli.voice import spoken, stage_option
from restore.media.options import InputOptions, OutputOptions
from restore.stages import options_of, stage_names
from restore.voice import OFF, SOUND

DOCS = Path(__file__).parent.parent / "docs"
_PLACE = re.compile(r"(<!-- options -->\n).*?(<!-- /options -->)", re.DOTALL)


def _bounds(kind: click.IntRange | click.FloatRange) -> str:
    """A range of numbers in words."""
    low, high = kind.min, kind.max
    if low is not None and high is not None:
        return f"{'above ' if kind.min_open else ''}{low:g} to {high:g}"
    if low is not None:
        return f"{'above' if kind.min_open else 'at least'} {low:g}"
    return f"at most {high:g}" if high is not None else "a number"


def _values(option: click.Option) -> str:
    """What an option takes."""
    if option.is_flag:
        return "yes or no"
    kind = option.type
    if isinstance(kind, click.Choice):
        return ", ".join(f"`{choice}`" for choice in kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        whole = "whole, " if isinstance(kind, click.IntRange) else ""
        return whole + _bounds(kind)
    words = {"KEY=VALUE": "`key=value`, repeated", "NUMBER": "a number, repeated" if option.multiple else "a number"}
    return words.get(str(option.metavar), "text, repeated" if option.multiple else "text")


def _default(value: object) -> str:
    """A default as a person would write it; nothing where there is none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in (None, (), {}):
        return ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def table(model: type[BaseModel], make: Callable[[str, FieldInfo], click.Option] = option_for) -> str:
    """One row an option: its flag, its key in a recipe, what it takes, its default, what it is for."""
    rows = ["| flag | key | takes | default | |", "|---|---|---|---|---|"]
    for name, field in model.model_fields.items():
        option = make(name, field)
        flags = " ".join(f"`{flag}`" for flag in option.opts)
        meaning = (field.description or "").replace("|", "\\|")
        default = _default(field.get_default(call_default_factory=True))
        rows.append(f"| {flags} | `{name}` | {_values(option)} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def sound_tables() -> str:
    """The stages of the sound, each with what it is for and its options as `restore voice` has them."""
    parts = []
    for name in SOUND.names():
        model = SOUND.options_of(name)
        default = "off" if name in OFF else "on"
        head = (
            f"**`{name}`** (`--{spoken(name)}`, {default} by default): {(model.__doc__ or '').strip().splitlines()[0]}"
        )
        parts.append(f"{head}\n\n{table(model, partial(stage_option, name))}")
    return "\n".join(parts)


def pages() -> dict[Path, str]:
    """Every page that has such tables, as it should be."""
    parts = {DOCS / f"{name}.md": table(options_of(name)) for name in stage_names()}
    parts[DOCS / "voice.md"] = sound_tables()
    parts[DOCS / "recipe.md"] = (
        f"**`[input]`**: how the source is read.\n\n{table(InputOptions)}\n"
        f"**`[output]`**: how the result is written.\n\n{table(OutputOptions)}"
    )
    written = {}
    for path, part in parts.items():
        text = path.read_text(encoding="utf-8")
        if not _PLACE.search(text):
            raise SystemExit(f"{path}: has no <!-- options --> and <!-- /options -->")
        written[path] = _PLACE.sub(lambda found, part=part: f"{found[1]}{part}{found[2]}", text)
    return written


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
