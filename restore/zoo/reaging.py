"""Weights to a network that re-ages faces: ours, or the published form that a person brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from restore.errors import WeightsError
from restore.zoo.cache import Progress
from restore.zoo.network import frozen
from restore.zoo.opening import Identity, open_weights

if TYPE_CHECKING:
    from restore.nets.fran import ReagingUNet


@dataclass(frozen=True, kw_only=True)
class ReagingNetwork(Identity):
    """A `restore.nets.fran.ReagingUNet` on the CPU, in float32, in evaluation mode, its parameters frozen."""

    module: ReagingUNet


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
    state, identity = open_weights(ref, "reage", "re-age faces", download=download, progress=progress)
    return ReagingNetwork(module=frozen(build(state, identity.path)), **vars(identity))


def build(state: Mapping[str, Tensor], path: Path) -> ReagingUNet:
    """The network a state dict belongs to. Raises WeightsError as `load_reaging_network`."""
    from restore.nets.fran import ReagingUNet

    if not is_reaging(state):
        raise WeightsError(f"{path} is not a re-ageing network this version knows (FRAN's U-Net); see docs/models.md")
    try:
        return ReagingUNet.from_state(state)
    except (LookupError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} resembles a re-ageing network but does not load as one: damaged?") from error
