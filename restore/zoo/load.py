"""Weights files to state dicts and networks. Nothing in a file is ever executed.

`.safetensors` files are read by safetensors, everything else by `torch.load(weights_only=True)`, which refuses any
pickle that is more than tensors. TorchScript archives hold programs and are refused.
"""

from __future__ import annotations

import math
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file as load_safetensors

from restore.errors import WeightsError

_WRAPPERS = ("model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net")
_PREFIXES = ("module.", "netG.")
# Tensors may share storage, and archives may be deflated, but a small file of terabyte tensors is an attack or damage.
_MAX_EXPANSION = 64


def load_state_dict(path: Path | str, *, key: str | None = None) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint onto the CPU, safely.

    The dictionary that holds them is found under `key`, else under the names the field uses (`params_ema` before
    `params`), else the file is that dictionary; a prefix `module.` or `netG.` common to all names is removed, entries
    that are no tensors are left out.

    Raises:
        WeightsError: not a readable checkpoint, or one that holds more than tensors, or no tensors at all.
    """
    path = Path(path)
    checkpoint = _unwrapped(_read_checkpoint(path), key)
    state = {str(name): value for name, value in checkpoint.items() if isinstance(value, torch.Tensor)}
    for prefix in _PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    _check_tensors(state, path)
    return state


def _read_checkpoint(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise WeightsError(f"{path} is not a file; name the weights file itself")
    if path.stat().st_size == 0:
        raise WeightsError(f"{path} is empty; fetch or copy it again")
    try:
        if path.suffix.lower() == ".safetensors":
            return load_safetensors(path)
        if _is_torchscript(path):
            raise WeightsError(f"{path} is a TorchScript program, not plain weights; look for its .pth or .safetensors")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on pickle protocols, which no user can change
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except (SafetensorError, zipfile.BadZipFile, EOFError) as error:
        raise WeightsError(f"{path} is damaged or cut short; fetch or copy it again") from error
    except pickle.UnpicklingError as error:
        raise WeightsError(_pickle_trouble(path, error)) from error
    except Exception as error:  # torch raises nearly anything on a damaged file
        raise WeightsError(f"{path} is not a readable checkpoint, or is cut short; fetch or copy it again") from error
    if isinstance(checkpoint, torch.nn.Module) or not isinstance(checkpoint, Mapping):
        raise WeightsError(f"{path} holds no named weights but a {type(checkpoint).__name__}")
    return checkpoint


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _pickle_trouble(path: Path, error: pickle.UnpicklingError) -> str:
    if "GLOBAL" in str(error) or "class" in str(error).lower():
        return (
            f"{path} holds Python objects besides tensors, which could run code, so it is not opened; "
            "ask its author for a .safetensors file"
        )
    return f"{path} is not a checkpoint (or is cut short); expected .pth or .safetensors weights"


def _unwrapped(checkpoint: Mapping[str, Any], key: str | None) -> Mapping[str, Any]:
    for name in (key, *_WRAPPERS):
        if name is not None and isinstance(checkpoint.get(name), Mapping):
            return dict(checkpoint[name])
    if len(checkpoint) == 1:
        only = next(iter(checkpoint.values()))
        if isinstance(only, Mapping):
            return dict(only)
    return checkpoint


def _check_tensors(state: Mapping[str, torch.Tensor], path: Path) -> None:
    if not state:
        raise WeightsError(f"{path} holds no tensors: it is not a weights file")
    claimed = sum(math.prod(t.shape) * t.element_size() for t in state.values())
    if claimed > _MAX_EXPANSION * path.stat().st_size + (1 << 20):
        raise WeightsError(f"{path} claims {claimed} bytes of weights, far more than it holds: damaged or malicious")
    for name, tensor in state.items():
        if tensor.is_meta or tensor.is_quantized or tensor.layout != torch.strided:
            raise WeightsError(f"{path}: the tensor '{name}' is not a plain array of numbers; not supported")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
            raise WeightsError(f"{path}: the tensor '{name}' holds infinite or undefined numbers: damaged weights")
