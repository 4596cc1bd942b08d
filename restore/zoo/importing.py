"""Taking in weights a person brought: recognise, refuse impostors, keep under a name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from restore.errors import OptionError, SourceNotFoundError, WeightsError
from restore.zoo import licences
from restore.zoo.cache import Progress, cached_path, copy_to_part, file_sha256, locked
from restore.zoo.imported import ImportedModel, imported_dir, imported_models, record_imported
from restore.zoo.resolve import ModelFile, resolve
from restore.zoo.spec import ModelSpec
from restore.zoo.table import MODELS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


def import_file(
    path: str | Path,
    *,
    name: str | None = None,
    accept_licence: bool = False,
    progress: Progress | None = None,
) -> ModelFile:
    """Copy a weights file into the cache, under the name of the known model it is, or under one of its own.

    A known model is recognised by the hash of the file, or by the hash of its tensors when the file was re-saved or
    rounded to half precision. Any other super-resolution network that spandrel knows, and any network of a known layout
    that colorizes or re-ages, is kept under `name`, by default the file's own; its hash is recorded, and a later change
    of the copy is refused.

    Raises:
        SourceNotFoundError: no such file.
        WeightsError: damaged, unsafe, unsupported, or a known impostor (named).
        LicenceError: a known model whose licence must be accepted first.
        OptionError: the name cannot be used.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise SourceNotFoundError(f"no file at {path}; give the path of the weights to import")
    if not path.is_file():
        raise WeightsError(f"{path} is not a file; name the weights file itself")
    digest = file_sha256(path)
    spec = next((spec for spec in MODELS.values() if spec.sha256 == digest), None)
    if spec is None:
        return _import_by_tensors(path, digest, name, accept_licence, progress)
    _check_known(spec, name, accept_licence)
    _store(path, digest, cached_path(spec), progress)
    return resolve(spec.id)


def _import_by_tensors(
    path: Path, digest: str, name: str | None, accept_licence: bool, progress: Progress | None
) -> ModelFile:
    from restore.zoo.coloring import build, layout_of
    from restore.zoo.load import load_state_dict
    from restore.zoo.network import describe
    from restore.zoo.reaging import build as build_reaging
    from restore.zoo.reaging import is_reaging
    from restore.zoo.recognise import recognise
    from restore.zoo.tensor_hash import tensor_sha256

    state = load_state_dict(path)
    known = recognise(state, path)
    if known is not None:
        spec, note = known
        _check_known(spec, name, accept_licence)
        model_id = spec.id
    else:
        note = ""
        model_id = _own_name(name or path.stem, digest)
    scale: int | None = None
    if known is not None and spec.kind not in ("upscale", "companion", "colorize"):
        architecture, tensors = spec.architecture, tensor_sha256(state)
    elif layout_of(state) is not None:
        architecture, tensors = build(state, path)[1] + ", colorizes", tensor_sha256(state)
    elif is_reaging(state):
        build_reaging(state, path)
        architecture, tensors = "fran, re-ages", tensor_sha256(state)
    else:
        network = describe(path)
        scale, architecture, tensors = network.scale, network.architecture, network.tensor_sha256
    suffix = ".safetensors" if path.suffix.lower() == ".safetensors" else ".pth"
    model = ImportedModel(
        id=model_id,
        file_name=model_id + suffix,
        sha256=digest,
        tensor_sha256=tensors,
        note=note,
        scale=scale,
        architecture=architecture,
        original=path.name,
    )
    _store(path, digest, imported_dir() / model.file_name, progress)
    record_imported(model)
    return resolve(model_id)


def _check_known(spec: ModelSpec, name: str | None, accept_licence: bool) -> None:
    if name is not None and name != spec.id:
        raise OptionError(f"the file is {spec.id} and is kept under that name; leave --name out")
    licences.require(spec, accept=accept_licence)


def _own_name(name: str, digest: str) -> str:
    """Check a name for a person's own network, or explain what is wrong with it."""
    if not _NAME.fullmatch(name):
        raise OptionError(
            f"'{name}' cannot be a model's name: use letters, digits and . _ + - (at most 64); choose one with --name"
        )
    if name.casefold() in {known.casefold() for known in MODELS}:
        raise OptionError(f"{name} is the name of a known model, which this file is not; choose another with --name")
    for other in imported_models().values():
        if other.id.casefold() == name.casefold() and other.sha256 != digest:
            raise OptionError(f"another network was imported as {other.id}; choose a different --name")
    return name


def _store(source: Path, digest: str, target: Path, progress: Progress | None) -> None:
    """Put a copy of `source` in place, whole or not at all."""
    with locked(target.name):
        part = target.with_name(f"{target.name}.import.part")
        if copy_to_part(source, part, progress) != digest:
            part.unlink()
            raise WeightsError(f"{source} changed while it was read; import it again")
        os.replace(part, target)
