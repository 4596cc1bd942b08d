"""Weights of one purpose, by name or path: what they are, and their tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from restore.errors import OptionError
from restore.zoo.cache import Progress
from restore.zoo.fetch import weights_file
from restore.zoo.load import load_state_dict
from restore.zoo.network import LICENCE_NOT_STATED
from restore.zoo.recognise import recognise
from restore.zoo.resolve import resolve
from restore.zoo.tensor_hash import tensor_sha256


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which weights a network runs with, as journals and reports name them."""

    id: str
    tensor_sha256: str
    file_sha256: str
    licence: str
    path: Path
    note: str = ""
    """What distinguishes the file from the published one, if anything."""


def open_weights(
    ref: str | Path, kind: str, ability: str, *, download: bool = True, progress: Progress | None = None
) -> tuple[dict[str, Tensor], Identity]:
    """Find, verify and read weights; a file is recognised by its tensors, whatever its name.

    Args:
        ref: a name from the table, an imported name, or a path.
        kind: of the models that will do: `ModelSpec.kind`.
        ability: what those do, as a verb, for the message about others: ``colorize``.
        download: fetch published weights that are not on this machine; otherwise that is an error.
        progress: told of the download's bytes.

    Raises:
        UnknownModelError: no such name or file.
        OptionError: a model of another kind.
        WeightsError: not on this machine, wrong hash, damaged, a known impostor.
        DownloadError, LicenceError: see `restore.zoo.pull`.
    """
    file = resolve(ref)
    if file.spec is not None and file.spec.kind != kind:
        raise OptionError(f"{file.id} does not {ability}; see `restore models list`")
    path, digest = weights_file(file, download=download, progress=progress)
    state = load_state_dict(path, key=file.spec.state_dict_key if file.spec else None)
    if file.spec is None and (known := recognise(state, path)) is not None:
        file = replace(file, spec=known[0], note=known[1])
    return state, Identity(
        id=file.id,
        tensor_sha256=tensor_sha256(state),
        file_sha256=digest,
        licence=file.spec.licence.id if file.spec else LICENCE_NOT_STATED,
        path=path,
        note=file.note,
    )
