"""The model zoo: which networks the project knows, and how their weights get here safely.

Importing this package imports no torch; the functions that open weights do so when called.

    from restore import zoo
    zoo.pull("realesr-general-x4v3")
    network = zoo.load_network("realesr-general-x4v3", denoise_strength=0.5)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restore.zoo.fetch import pull, weights_file
from restore.zoo.importing import import_file
from restore.zoo.resolve import ModelFile, available, get, list_models, resolve
from restore.zoo.spec import Licence, ModelSpec
from restore.zoo.transfer import Patience
from restore.zoo.verify import Verification, verify

if TYPE_CHECKING:
    from restore.zoo.coloring import ColorNetwork, load_color_network
    from restore.zoo.load import load_state_dict
    from restore.zoo.network import LoadedNetwork, load_network
    from restore.zoo.reaging import ReagingNetwork, load_reaging_network

__all__ = [
    "ColorNetwork",
    "Licence",
    "LoadedNetwork",
    "ModelFile",
    "ModelSpec",
    "Patience",
    "ReagingNetwork",
    "Verification",
    "available",
    "get",
    "import_file",
    "list_models",
    "load_color_network",
    "load_network",
    "load_reaging_network",
    "load_state_dict",
    "pull",
    "resolve",
    "verify",
    "weights_file",
]

_WITH_TORCH = {
    "ColorNetwork": "restore.zoo.coloring",
    "load_color_network": "restore.zoo.coloring",
    "LoadedNetwork": "restore.zoo.network",
    "load_network": "restore.zoo.network",
    "ReagingNetwork": "restore.zoo.reaging",
    "load_reaging_network": "restore.zoo.reaging",
    "load_state_dict": "restore.zoo.load",
}


def __getattr__(name: str) -> Any:
    if name in _WITH_TORCH:
        import importlib

        return getattr(importlib.import_module(_WITH_TORCH[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
