"""From option models to Click options: what a stage or a recipe can be told is declared once, in its model."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import click
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from restore.errors import OptionError
from restore.pipeline.contract import first_problem

Model = TypeVar("Model", bound=BaseModel)

_SHORT = {"encoder_options": ("-e", "encoder_options"), "skip_streams": ("--skip-stream", "skip_streams")}
_NAMES: dict[str, str] = {"transfer": "--input-transfer", "from_age": "--from"}


def _bare(annotation: Any) -> Any:
    """The type inside Optional and Annotated."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        return _bare(inner[0])
    return annotation


def _number_type(field: FieldInfo, kind: type) -> click.ParamType[Any]:
    bounds: dict[str, Any] = {}
    for mark in field.metadata:
        for name, target, is_open in (
            ("ge", "min", None),
            ("gt", "min", "min_open"),
            ("le", "max", None),
            ("lt", "max", "max_open"),
        ):
            if getattr(mark, name, None) is not None:
                bounds[target] = getattr(mark, name)
                if is_open and kind is float:
                    bounds[is_open] = True
    return click.FloatRange(**bounds) if kind is float else click.IntRange(**bounds)


def flag_of(name: str) -> str:
    """The command line's name of a field."""
    return _SHORT.get(name, (_NAMES.get(name, "--" + name.replace("_", "-")),))[0]


def validated(model: type[Model], values: dict[str, Any]) -> Model:
    """Values by field, validated. Raises OptionError naming the flag."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = first_problem(error).partition(": ")[2] or first_problem(error)
        raise OptionError(f"{flag_of(str(error.errors()[0]['loc'][0]))}: {problem}") from None


def option_for(name: str, field: FieldInfo) -> click.Option:
    """The Click option of one field. Unset options are None (or empty), so that defaults stay the model's."""
    flag = _NAMES.get(name, "--" + name.replace("_", "-"))
    names = [*_SHORT.get(name, (flag, name))]
    kind = _bare(field.annotation)
    help_text = field.description or ""
    if kind is bool:
        both = f"{flag}/--no-{flag.removeprefix('--')}" if field.default is True else flag
        return click.Option([both, name], is_flag=True, default=None, help=help_text)
    if get_origin(kind) is dict:
        return click.Option(names, multiple=True, metavar="KEY=VALUE", help=help_text)
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        metavar = "NUMBER" if inner is int else "TEXT"
        return click.Option(names, multiple=True, type=inner, metavar=metavar, help=help_text)
    if field.default not in (None, ()) and not isinstance(field.default, bool):
        help_text = (
            f"{help_text} [default: {field.default:g}]"
            if isinstance(field.default, float)
            else f"{help_text} [default: {field.default}]"
        )
    if get_origin(kind) is Literal:
        return click.Option(names, type=click.Choice([str(value) for value in get_args(kind)]), help=help_text)
    if kind in (int, float):
        inner = field if field.metadata else _annotated_field(field)
        return click.Option(names, type=_number_type(inner, kind), metavar="NUMBER", help=help_text)
    return click.Option(names, type=str, metavar="TEXT", help=help_text)


def _annotated_field(field: FieldInfo) -> FieldInfo:
    """The bounds of ``Annotated[float, Field(ge=...)] | None`` sit one level deeper."""
    for part in get_args(field.annotation):
        if get_origin(part) is Annotated:
            return FieldInfo.from_annotation(part)
    return field


def options_for(model: type[BaseModel]) -> list[click.Option]:
    """All Click options of a model, in the order of its fields."""
    return [option_for(name, field) for name, field in model.model_fields.items()]


def given(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """What the person said of a model's fields, taken out of Click's values; unsaid ones are left out."""
    said: dict[str, Any] = {}
    for name in model.model_fields:
        value = values.pop(name, None)
        if value is None or value == ():
            continue
        said[name] = dict(_pair(item) for item in value) if name == "encoder_options" else value
    return said


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise OptionError(f"-e {text}: write key=value")
    return key, value


class GroupedCommand(click.Command):
    """A command whose help shows its options under headings."""

    def __init__(
        self,
        name: str,
        *,
        groups: Iterable[tuple[str, list[click.Option]]],
        params: Iterable[click.Parameter],
        **kwargs: Any,
    ) -> None:
        self.groups = list(groups)
        every = [*params, *(option for _, options in self.groups for option in options)]
        super().__init__(name, params=every, **kwargs)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group under its heading."""
        help_option = self.get_help_option(ctx)
        for title, options in [*self.groups, ("Help", [help_option] if help_option else [])]:
            rows = [row for option in options if (row := option.get_help_record(ctx)) is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
