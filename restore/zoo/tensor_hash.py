"""A hash of the numbers in a checkpoint, the same however the file was saved.

Definition. Take the state dict (wrapping dictionaries and a `module.` or `netG.` prefix common to all names removed;
`restore.zoo.load.load_state_dict` does that). Feed to SHA-256, for every tensor in the order of its name's code points:

1. the UTF-8 text `name NUL dtype NUL d0,d1,... NUL`, with torch's name of the dtype and the shape in decimals;
2. the elements in C order, little-endian.

Floating-point tensors narrower than 32 bits are widened to float32 first, which is exact: so a file that stores half
precision and one that stores the same rounded numbers in single precision hash alike. Entries that are no tensors
(step counts, options) are left out. The file's name, zip layout, pickle protocol and key order do not count.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping

import torch


def tensor_sha256(state: Mapping[str, torch.Tensor]) -> str:
    """Hex SHA-256 of a state dict's names, dtypes, shapes and elements, as the module defines it."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = _widened(state[name].detach().cpu()).contiguous()
        shape = ",".join(str(size) for size in tensor.shape)
        digest.update(f"{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{shape}\0".encode())
        array = tensor.numpy()
        digest.update((array if sys.byteorder == "little" else array.byteswap()).tobytes())
    return digest.hexdigest()


def half_sha256(state: Mapping[str, torch.Tensor]) -> str:
    """`tensor_sha256` after rounding all floating-point elements to half precision (nearest, ties to even).

    Equal to `tensor_sha256` exactly when the state dict is such a rounded copy already.
    """
    return tensor_sha256({name: t.half() if t.is_floating_point() else t for name, t in state.items()})


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    narrow = tensor.is_floating_point() and tensor.dtype.itemsize < 4
    return tensor.float() if narrow else tensor
