"""Measures of sound quality that `bench_voice.py` reports: against the clean sound, and without it (DNSMOS)."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import resample_poly
from torch import Tensor

Sound = npt.NDArray[np.float32]
NARROW = 16000
"""The rate PESQ (wideband), STOI and DNSMOS work at."""


def si_sdr(estimate: Tensor, clean: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., ICASSP 2019)."""
    estimate, clean = estimate.double().flatten(), clean.double().flatten()
    target = clean * (estimate @ clean / (clean @ clean))
    return float(10 * torch.log10(target.square().sum() / (estimate - target).square().sum().clamp(min=1e-20)))


def at(sound: Tensor, rate: int, wanted: int) -> Sound:
    """One channel at another rate."""
    mono = sound.double().mean(0).numpy()
    divisor = np.gcd(rate, wanted)
    return np.asarray(resample_poly(mono, wanted // divisor, rate // divisor), np.float32)


def pesq_wideband(estimate: Tensor, clean: Tensor, rate: int) -> float:
    """ITU-T P.862.2."""
    from pesq import pesq

    return float(pesq(NARROW, at(clean, rate, NARROW), at(estimate, rate, NARROW), "wb"))


def stoi_of(estimate: Tensor, clean: Tensor, rate: int) -> float:
    """Short-time objective intelligibility (Taal et al., 2011), 0 to 1."""
    from pystoi import stoi

    return float(stoi(at(clean, rate, NARROW), at(estimate, rate, NARROW), NARROW))


@cache
def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


_SPAN = 9.01
_POLYNOMIALS = {  # from the scores the network gives to those of listeners: microsoft/DNS-Challenge, dnsmos_local.py
    "SIG": (-0.08397278, 1.22083953, 0.0052439),
    "BAK": (-0.13166888, 1.60915514, -0.39604546),
    "OVRL": (-0.06766283, 1.11546468, 0.04602535),
}


def dnsmos(sound: Tensor, rate: int, weights: Path) -> dict[str, float]:
    """Speech (SIG), background (BAK) and overall (OVRL) on a scale of 1 to 5 (DNSMOS P.835, non-personalised)."""
    heard = at(sound, rate, NARROW)
    length = int(_SPAN * NARROW)
    while len(heard) < length:
        heard = np.append(heard, heard)
    session = _session(weights / "dnsmos_sig_bak_ovr.onnx")
    raw = []
    for second in range(int(np.floor(len(heard) / NARROW) - _SPAN) + 1):
        part = heard[second * NARROW : second * NARROW + length]
        if len(part) == length:
            raw.append(session.run(None, {session.get_inputs()[0].name: part[None]})[0][0])
    return {
        name: float(np.mean([np.polyval(polynomial, row[place]) for row in raw]))
        for place, (name, polynomial) in enumerate(_POLYNOMIALS.items())
    }


def score(estimate: Tensor, clean: Tensor, rate: int) -> dict[str, float]:
    """SI-SDR, PESQ and STOI of (channels, samples)."""
    return {
        "SI-SDR": si_sdr(estimate, clean),
        "PESQ": pesq_wideband(estimate, clean, rate),
        "STOI": stoi_of(estimate, clean, rate),
    }


def material() -> Path:
    """Where the test material lies. Raises SystemExit where it is not."""
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "test"
    found = Path(os.environ.get("RESTORE_TEST_MATERIAL", default))
    if not (found / "speech").is_dir():
        raise SystemExit(f"there is no speech in {found}/speech: set RESTORE_TEST_MATERIAL")
    return found
