"""The record of files people brought: `imported.json` in the cache folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from restore.errors import WeightsError
from restore.zoo.cache import cache_dir, locked, read_record, write_record
from restore.zoo.spec import Kind

_RECORD = "imported.json"


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """One imported file."""

    id: str
    """Its name: the known model's id, or the one the person chose."""
    file_name: str
    """The file in the cache's `imported` folder."""
    sha256: str
    tensor_sha256: str
    note: str
    """What it was recognised as, for example "copy rounded to half precision"; empty for a network not in the table."""
    scale: int | None
    """Factor it enlarges by; None for networks that colorize or re-age."""
    architecture: str
    original: str
    """The name the file had when it was brought."""

    @property
    def kind(self) -> Kind:
        """What it is for."""
        if self.scale is not None:
            return "upscale"
        return "reage" if self.architecture.endswith("re-ages") else "colorize"

    @property
    def path(self) -> Path:
        """Where the file lies now."""
        return imported_dir() / self.file_name


def imported_dir() -> Path:
    """The folder of imported files."""
    return cache_dir() / "imported"


def imported_models() -> dict[str, ImportedModel]:
    """All imported models by id."""
    return {name: _parse(name, entry) for name, entry in read_record(_RECORD).items()}


def record_imported(model: ImportedModel) -> None:
    """Add or replace one entry."""
    entry = asdict(model)
    del entry["id"]
    with locked("records"):
        entries = read_record(_RECORD)
        entries[model.id] = entry
        write_record(_RECORD, entries)


def _parse(name: str, entry: Any) -> ImportedModel:
    try:
        model = ImportedModel(id=name, **entry)
    except TypeError as error:
        raise WeightsError(
            f"cannot read {cache_dir() / _RECORD}: the entry '{name}' is not whole; remove it"
        ) from error
    if Path(model.file_name).name != model.file_name:
        raise WeightsError(f"cannot read {cache_dir() / _RECORD}: '{name}' points outside the cache; remove it")
    return model
