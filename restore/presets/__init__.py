"""Presets: recipes that come with `restore`, one TOML file each, and what a person changes of them on the line.

A preset is a recipe like any other: what `restore film` runs can be written to a file, edited, and handed to
`restore run --recipe`. Imports no torch.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib.resources import files
from typing import Any

from pydantic import BaseModel

from restore.errors import OptionError
from restore.recipe import STAGES, Recipe


def preset_names() -> tuple[str, ...]:
    """All presets there are."""
    found = (file.name for file in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


def preset_stages(name: str) -> dict[str, dict[str, Any]]:
    """The stages of a preset, in order, with the options it sets. Raises OptionError for an unknown preset."""
    if name not in preset_names():
        raise OptionError(f"no preset is called {name!r}; there are: {', '.join(preset_names())}")
    table = tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
    return {stage["name"]: {key: value for key, value in stage.items() if key != "name"} for stage in table["stage"]}


def preset(
    name: str,
    *,
    changes: Iterable[str] = (),
    skip: Sequence[str] = (),
    only: Sequence[str] = (),
    strength: float | None = None,
) -> Recipe:
    """The recipe of a preset, changed as a person wants it.

    Args:
        name: of the preset: ``film``.
        changes: ``STAGE.OPTION=VALUE``, each over what the preset says.
        skip: stages to leave out.
        only: stages to keep, all others are left out.
        strength: multiplies the ``strength`` of every stage that has one; `changes` go over it.

    Raises OptionError saying which of them cannot be, and what can.
    """
    stages = preset_stages(name)
    for stage in (*skip, *only):
        _known(name, stage, stages)
    kept = {
        stage: dict(options)
        for stage, options in stages.items()
        if stage not in skip and (not only or stage in only)
    }  # fmt: skip
    if not kept:
        raise OptionError(f"{name}: every stage is left out; there are: {', '.join(stages)}")
    if strength is not None:
        for stage, options in kept.items():
            field = STAGES.options_of(stage).model_fields.get("strength")
            if field is not None:
                options["strength"] = strength * options.get("strength", field.default)
    for change in changes:
        stage, option, value = _parsed(change)
        _known(name, stage, stages, f"{change}: ")
        if stage not in kept:
            raise OptionError(f"{change}: {stage} is left out, so it has nothing to be told")
        kept[stage][_option(stage, option, change)] = value
    return Recipe(tuple((stage, STAGES.parse(stage, options)) for stage, options in kept.items()))


def _known(preset_name: str, stage: str, stages: Iterable[str], where: str = "") -> None:
    if stage in stages:
        return
    close = get_close_matches(stage, list(stages), 1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(stages)}"
    raise OptionError(f"{where}{preset_name} has no stage {stage!r}; {hint}")


def _parsed(change: str) -> tuple[str, str, Any]:
    """``dedust.sensitivity=0.7`` in its parts; lists as TOML writes them, everything else as its text."""
    place, equals, text = (part.strip() for part in change.partition("="))
    stage, dot, option = place.partition(".")
    if not equals or not dot or not stage or not option or not text:
        raise OptionError(f"{change}: write STAGE.OPTION=VALUE, for example dedust.sensitivity=0.7")
    if text.startswith("["):
        try:
            return stage, option, tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError as error:
            raise OptionError(f"{change}: not a list: {error}") from None
    return stage, option, text


def _option(stage: str, option: str, change: str) -> str:
    name = option.replace("-", "_")
    known = STAGES.options_of(stage).model_fields
    if name not in known:
        close = get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
        raise OptionError(f"{change}: {stage} has no option {option!r}; {hint}")
    return name


def as_toml(recipe: Recipe, head: str) -> str:
    """A recipe as a file for a person to edit: every option of every stage, with what it means.

    What is not set stands there as a comment, with its default. `head` goes at the top, as a comment.
    """
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    for title, model in (("input", recipe.input), ("output", recipe.output)):
        said = model.model_dump(mode="json", exclude_unset=True)
        if said:
            lines += ["", f"[{title}]", *(f"{key} = {_toml(value)}" for key, value in said.items())]
    for name, options in recipe.stages:
        about = (type(options).__doc__ or "").strip().splitlines()[0]
        lines += ["", "[[stage]]", f'name = "{name}"  # {about}']
        lines += _option_lines(options)
    return "\n".join(lines) + "\n"


def _option_lines(options: BaseModel) -> list[str]:
    lines = []
    for key, field in type(options).model_fields.items():
        value = getattr(options, key)
        meaning = field.description or ""
        if value is None:
            lines.append(f"# {key} =   # {meaning}")
        else:
            off = "" if key in options.model_fields_set else "# "
            lines.append(f"{off}{key} = {_toml(options.model_dump(mode='json')[key])}  # {meaning}")
    return lines


def _toml(value: Any) -> str:
    """A JSON value as TOML writes it."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{_toml(key)} = {_toml(inner)}" for key, inner in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    # JSON's strings are TOML's basic strings, but for DEL, which must be escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
