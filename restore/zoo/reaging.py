"""Weights to a network that re-ages faces: ours, or the published form that a person brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from restore.errors import OptionError, WeightsError
from restore.zoo.cache import Progress
from restore.zoo.fetch import weights_file
from restore.zoo.load import load_state_dict
from restore.zoo.network import LICENCE_NOT_STATED, frozen
from restore.zoo.recognise import recognise
from restore.zoo.resolve import resolve
from restore.zoo.tensor_hash import tensor_sha256

if TYPE_CHECKING:
    from restore.nets.fran import ReagingUNet


@dataclass(frozen=True)
class ReagingNetwork:
    """A `restore.nets.fran.ReagingUNet` on the CPU, in float32, in evaluation mode, its parameters frozen."""

    module: ReagingUNet
    id: str
    tensor_sha256: str
    file_sha256: str
    licence: str
    path: Path
    note: str = ""
    """What distinguishes the file from the published one, if anything."""


def is_reaging(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict has the names of a re-ageing network."""
    from restore.nets.fran import KEYS

    return state.keys() >= KEYS


def load_reaging_network(ref: str | Path, *, download: bool = True, progress: Progress | None = None) -> ReagingNetwork:
    """Load a re-ageing network by name or path.

    Raises:
        UnknownModelError: no such name or file.
        OptionError: a model that does not re-age.
        WeightsError: not on this machine, wrong hash, damaged, a known impostor, or no re-ageing network.
    """
    file = resolve(ref)
    if file.spec is not None and file.spec.kind != "reage":
        raise OptionError(f"{file.id} does not re-age faces; see `restore models list`")
    path, digest = weights_file(file, download=download, progress=progress)
    state = load_state_dict(path, key=file.spec.state_dict_key if file.spec else None)
    if file.spec is None and (known := recognise(state, path)) is not None:
        file = replace(file, spec=known[0], note=known[1])
    return ReagingNetwork(
        module=frozen(build(state, path)),
        id=file.id,
        tensor_sha256=tensor_sha256(state),
        file_sha256=digest,
        licence=file.spec.licence.id if file.spec else LICENCE_NOT_STATED,
        path=path,
        note=file.note,
    )


def build(state: Mapping[str, Tensor], path: Path) -> ReagingUNet:
    """The network a state dict belongs to. Raises WeightsError as `load_reaging_network`."""
    from restore.nets.fran import ReagingUNet

    if not is_reaging(state):
        raise WeightsError(f"{path} is not a re-ageing network this version knows (FRAN's U-Net); see docs/models.md")
    try:
        return ReagingUNet.from_state(state)
    except (LookupError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} resembles a re-ageing network but does not load as one: damaged?") from error
