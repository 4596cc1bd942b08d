"""Stages by name. Imports a stage's options without torch, and its working half only when it is built."""

from __future__ import annotations

import importlib
from collections.abc import MutableMapping
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from restore.errors import OptionError
from restore.pipeline.contract import StageOptions, first_problem

Built = TypeVar("Built")


class Catalogue(Generic[Built]):
    """A table of stages: name to (``module:Options``, ``module:Stage``)."""

    def __init__(self, table: MutableMapping[str, tuple[str, str]]) -> None:
        self.table = table

    def names(self) -> tuple[str, ...]:
        """All stages of the table, in order."""
        return tuple(self.table)

    def __contains__(self, name: object) -> bool:
        return name in self.table

    def options_of(self, name: str) -> type[StageOptions]:
        """The options of a stage, without importing torch. Raises OptionError for an unknown name."""
        found: type[StageOptions] = _load(self._entry(name)[0])
        return found

    def parse(self, name: str, values: dict[str, Any]) -> StageOptions:
        """Validate the options of a stage. Raises OptionError saying which is wrong and how."""
        try:
            return self.options_of(name).model_validate(values)
        except ValidationError as error:
            raise OptionError(f"{name}: {first_problem(error)}") from None

    def build(self, name: str, options: StageOptions | dict[str, Any] | None = None) -> Built:
        """A stage, not yet opened. Raises OptionError saying which option is wrong and how."""
        if not isinstance(options, StageOptions):
            options = self.parse(name, options or {})
        stage: Built = _load(self._entry(name)[1])(options)
        return stage

    def _entry(self, name: str) -> tuple[str, str]:
        try:
            return self.table[name]
        except KeyError:
            close = get_close_matches(name, self.table, 1)
            hint = f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(self.table)}"
            raise OptionError(f"no stage is called {name!r}{hint}") from None


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
