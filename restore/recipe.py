"""Recipes: which stages, with which options, reading and writing how. TOML for people; imports no torch."""

from __future__ import annotations

import tomllib
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from restore.errors import OptionError, SourceNotFoundError
from restore.media.options import InputOptions, OutputOptions
from restore.pipeline.catalogue import Catalogue
from restore.pipeline.contract import StageOptions, first_problem
from restore.stages import PICTURES
from restore.voice import SOUND

STAGES: Catalogue[Any] = Catalogue(ChainMap(SOUND.table, PICTURES.table))
"""All stages a recipe may name, of pictures and of sound."""

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Recipe:
    """Stages in order, and how to read the source and write the output.

    Recipe.of("upscale", scale=2)
    Recipe.of("loudness", target=-23)
    Recipe.load("film.toml")
    """

    stages: tuple[tuple[str, StageOptions], ...]
    input: InputOptions = InputOptions()
    output: OutputOptions = OutputOptions()

    @classmethod
    def of(cls, stage: str, **options: Any) -> Recipe:
        """A recipe of one stage. Raises OptionError for an unknown stage or option."""
        return cls(((stage, STAGES.parse(stage, options)),))

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read a TOML file. Raises SourceNotFoundError, and OptionError naming the place that is wrong."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise SourceNotFoundError(f"{path}: no such recipe") from None
        except (OSError, UnicodeDecodeError) as error:
            raise OptionError(f"{path}: cannot be read as a recipe ({error})") from None
        try:
            return cls.from_dict(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise OptionError(f"{path}: not TOML: {error}") from None
        except OptionError as error:
            raise OptionError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """From the recipe's tables as Python values. Raises OptionError."""
        unknown = set(values) - {"stage", "input", "output"}
        if unknown:
            raise OptionError(f"there is no [{sorted(unknown)[0]}]; a recipe has [input], [output] and [[stage]]")
        stages = values.get("stage", [])
        if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
            raise OptionError("stages are written as [[stage]], each with a name")
        parsed = []
        for number, stage in enumerate(stages, 1):
            options = dict(stage)
            name = options.pop("name", None)
            if not isinstance(name, str):
                raise OptionError(f"[[stage]] {number} has no name")
            try:
                parsed.append((name, STAGES.parse(name, options)))
            except OptionError as error:
                raise OptionError(f"[[stage]] {number}: {error}") from None
        return cls(
            tuple(parsed), _table(InputOptions, "input", values), _table(OutputOptions, "output", values)
        )  # fmt: skip

    def with_stages(self, more: Iterable[tuple[str, StageOptions]]) -> Recipe:
        """The same recipe with further stages at its end."""
        return Recipe((*self.stages, *more), self.input, self.output)

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """The same recipe with single options changed, named ``STAGE.OPTION``, ``input.OPTION`` or ``output.OPTION``.

        Values may be text, as the command line has them. Raises OptionError naming what is wrong.
        """
        tables = {
            "input": self.input.model_dump(exclude_unset=True),
            "output": self.output.model_dump(exclude_unset=True),
        }
        stages = [(name, options.model_dump(exclude_unset=True)) for name, options in self.stages]
        for key, value in values.items():
            place, _, option = key.partition(".")
            found = [tables[place]] if place in tables else [options for name, options in stages if name == place]
            if not found:
                has = ", ".join(["input", "output", *dict.fromkeys(name for name, _ in stages)])
                raise OptionError(f"{key}: the recipe has no {place!r}; it has {has}")
            for options in found:
                options[option.replace("-", "_")] = value
        return Recipe.from_dict({**tables, "stage": [{"name": name, **options} for name, options in stages]})

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON values, all defaults written out: what the job keeps, and `from_dict` reads."""
        return {
            "input": self.input.model_dump(mode="json"),
            "output": self.output.model_dump(mode="json"),
            "stage": [{"name": name, **options.model_dump(mode="json")} for name, options in self.stages],
        }


def _table(model: type[_Model], name: str, values: dict[str, Any]) -> _Model:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise OptionError(f"[{name}] must be a table")
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise OptionError(f"[{name}] {first_problem(error)}") from None
