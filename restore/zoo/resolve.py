"""From what a person typed to a weights file: a name in the table, an imported name, or a path."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from restore.errors import UnknownModelError
from restore.zoo.cache import expected_sha256, find_weights
from restore.zoo.imported import imported_models
from restore.zoo.spec import Kind, ModelSpec
from restore.zoo.table import MODELS

_WEIGHTS_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".safetensors", ".onnx", ".tar")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model and where its weights are."""

    id: str
    """Its name; for a bare path the file's stem."""
    spec: ModelSpec | None
    """The table's entry; None for a person's own network."""
    path: Path | None
    """The weights on this machine; None where they were not fetched yet."""
    sha256: str | None
    """The hash the file must have; None for a bare path, which is taken as it is."""
    scale: int | None = None
    """Factor it enlarges by; None for a bare path, which was not opened, and for models that do not enlarge."""
    kind: Kind | None = None
    """What it is for; None for a bare path, which was not opened."""
    note: str = ""
    """What distinguishes the file from the published one, if anything."""


def list_models(kind: Kind | None = None) -> list[ModelSpec]:
    """The models the project knows by name, in the table's order."""
    return [spec for spec in MODELS.values() if kind in (None, spec.kind)]


def get(name: str) -> ModelSpec:
    """The table's entry of that name (letter case does not count).

    Raises:
        UnknownModelError: no such model; the message suggests near ones.
    """
    if (spec := _known(name)) is None:
        raise _unknown(name)
    return spec


def available() -> list[ModelFile]:
    """Every model that can be used now without fetching anything: bundled, fetched or imported."""
    names = dict.fromkeys([*MODELS, *imported_models()])
    return [file for file in map(resolve, names) if file.path is not None]


def resolve(name_or_path: str | Path) -> ModelFile:
    """Find a model by its name in the table, by the name it was imported under, or by a path, in that order.

    Raises:
        UnknownModelError: neither a known name nor a file; the message suggests near names.
    """
    text = str(name_or_path)
    imported = imported_models()
    spec = _known(text)
    if spec is not None:
        if (path := find_weights(spec)) is not None:
            return ModelFile(spec.id, spec, path, expected_sha256(spec, path), spec.scale, spec.kind)
        copy = imported.get(spec.id)
        if copy is not None and copy.path.is_file():
            return ModelFile(spec.id, spec, copy.path, copy.sha256, spec.scale, spec.kind, copy.note)
        return ModelFile(spec.id, spec, None, spec.sha256, spec.scale, spec.kind)
    if (own := imported.get(text)) is not None:
        there = own.path if own.path.is_file() else None
        return ModelFile(own.id, None, there, own.sha256, own.scale, own.kind)
    path = Path(text).expanduser()
    if path.is_file():
        return ModelFile(path.stem, None, path, None)
    raise _unknown(text)


def _known(name: str) -> ModelSpec | None:
    return next((spec for spec in MODELS.values() if spec.id.casefold() == name.casefold()), None)


def _unknown(text: str) -> UnknownModelError:
    path = Path(text).expanduser()
    if path.is_dir():
        return UnknownModelError(f"{text} is a folder; name the weights file in it")
    if path.suffix.lower() in _WEIGHTS_SUFFIXES or len(path.parts) > 1:
        return UnknownModelError(f"no weights file at {text}; give its path, or a name from `restore models list`")
    names = {name.casefold(): name for name in [*MODELS, *imported_models()]}
    close = difflib.get_close_matches(text.casefold(), names, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(names[c] for c in close)}?" if close else "see `restore models list`"
    return UnknownModelError(f"no model is called '{text}'; {hint}")
