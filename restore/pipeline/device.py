"""Choosing the device and the precision, once, at the start of a job."""

from __future__ import annotations

import contextlib
import ctypes
from typing import Literal, cast

import torch

from restore.errors import DeviceError
from restore.pipeline.contract import Device

Precision = Literal["auto", "fp32", "bf16", "fp16"]


def native_bf16() -> bool:
    """Whether this processor multiplies bfloat16 itself (AVX-512 BF16, AMX, or Arm's): emulated, it is slower."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    capable = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if not capable:
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    known = [getattr(torch.cpu, name)() for name in checks if hasattr(torch.cpu, name)]
    return any(known) or not known


_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_ARENAS = 3
"""Heaps of freed memory, at most: left alone, every thread keeps one of its own, and none shares with another."""


def keep_freed_memory() -> None:
    """Have glibc keep the memory of freed tensors for the next ones, instead of handing it back page by page.

    Frame after frame the same large tensors come and go; fetching their pages anew each time took a third of a
    network's time on a CPU. The peak stays what it was. Does nothing on other systems.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def choose_device(name: str = "auto", precision: str = "auto", depth: int = 8, master: bool = False) -> Device:
    """CUDA if it is there, else the CPU; bf16 in convolutions for 8-bit sources where it is native.

    Sources deeper than 8 bits and masters are computed in fp32 unless asked otherwise. Raises DeviceError.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"device {name} is not there ({reason}); run `restore doctor`, or use --device cpu") from None
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else device.type == "cpu" and native_bf16()
        precision = "bf16" if fast and depth <= 8 and not master else "fp32"
    if precision == "fp16" and device.type == "cpu":
        raise DeviceError("fp16 does not run on a CPU: use --precision bf16 or fp32")
    if device.type == "cpu":
        keep_freed_memory()
    return Device(device, cast(Literal["fp32", "bf16", "fp16"], precision))
