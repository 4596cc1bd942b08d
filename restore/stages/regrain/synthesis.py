"""Random fields with a given spectrum."""

from __future__ import annotations

import torch
from torch import Tensor

from restore.analysis.noise import BLOCK, cosines

_GRID = 64
"""Frequencies a cycle a pixel is divided into while a spectrum is fitted."""
_ROUNDS = 6
_STEEPEST = 3.0
"""How steeply, at least, the logarithm of power falls beyond the source's highest frequency, a step of 1/16."""
_LOWEST = 1e-4


def node_powers(spectrum: Tensor) -> Tensor:
    """(8, 8) the logarithm of spectral power at multiples of 1/16 cycles a pixel, such that the cosine transform of
    blocks, which smears a spectrum, shows `spectrum`."""
    target = spectrum.double().clamp(min=_LOWEST)
    axis = torch.fft.fftfreq(_GRID, dtype=torch.float64).abs()
    basis = torch.from_numpy(cosines()).double()
    lag = (torch.arange(BLOCK)[:, None] - torch.arange(BLOCK)[None, :]).abs()
    logs = target.log()
    for _ in range(_ROUNDS):
        covariance = torch.fft.ifft2(_read(logs, axis, axis).exp()).real
        # Rows and columns of blocks differ by `lag`; the transform of that in both directions.
        seen = torch.einsum("ku,kv,lx,ly,uvxy->kl", basis, basis, basis, basis, covariance[lag][:, :, lag])
        logs = logs + (target / seen.clamp(min=_LOWEST * 0.1)).log().clamp(-1, 1)
    return logs


def _read(logs: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """(len(down), len(across)) logarithm of power at frequencies in cycles a pixel of the source, zero or more.

    Bilinear between nodes; beyond the last, and beyond what the source could hold, it falls on.
    """
    y, x = (axis * 2 * BLOCK for axis in (down, across))
    edge = BLOCK - 1
    inner = [axis.clamp(max=edge - 1e-6) for axis in (y, x)]
    (y0, x0), (fy, fx) = [axis.long() for axis in inner], [axis - axis.floor() for axis in inner]
    rows = torch.lerp(logs[y0], logs[(y0 + 1).clamp(max=edge)], fy[:, None])
    found = torch.lerp(rows[:, x0], rows[:, (x0 + 1).clamp(max=edge)], fx[None, :])
    beyond = (y - BLOCK).clamp(min=0)[:, None] + (x - BLOCK).clamp(min=0)[None, :]
    return found - _STEEPEST * beyond


def measured_filter(spectrum: Tensor, height: int, width: int, scale: float) -> Tensor:
    """(height, width // 2 + 1) amplitudes of a field that looks, `scale` times as large, as `spectrum` says."""
    logs = node_powers(spectrum)
    down, across = torch.fft.fftfreq(height).abs().double(), torch.fft.rfftfreq(width).double()
    return _unit((_read(logs, down * scale, across * scale) / 2).exp(), width)


def gaussian_filter(size: float, height: int, width: int) -> Tensor:
    """The same for clumps like a Gaussian with a sigma of `size` pixels."""
    down, across = torch.fft.fftfreq(height).double(), torch.fft.rfftfreq(width).double()
    return _unit((-2 * (torch.pi * size) ** 2 * (down[:, None] ** 2 + across[None, :] ** 2)).exp(), width)


def _unit(amplitudes: Tensor, width: int) -> Tensor:
    """Scaled so that the field has unit variance."""
    twice = torch.full((amplitudes.shape[1],), 2.0, dtype=torch.float64)
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    power = (amplitudes.square() * twice).sum() / (amplitudes.shape[0] * width)
    return (amplitudes / power.sqrt()).float()


def field(amplitudes: Tensor, width: int, generator: torch.Generator) -> Tensor:
    """(height, width) Gaussian noise of unit variance with these amplitudes. Numbers are drawn on the CPU."""
    white = torch.randn((amplitudes.shape[0], width), generator=generator)
    noise: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * amplitudes, s=white.shape)
    return noise


def fast_size(size: int) -> int:
    """The next size that transforms quickly."""
    return -(-size // 32) * 32
