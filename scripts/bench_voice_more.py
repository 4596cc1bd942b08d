"""Measure the steps of `restore voice` that are off by default, on damage whose truth is known; print Markdown.

    RESTORE_TEST_MATERIAL=... python scripts/bench_voice_more.py [PART ...] [--files N] [--seconds S]

Parts: wow (real voices over a hum, recorded by a machine that wavers), room (with a room's answer from the test
material), band (telephone and optical track), tone (a dulled, hoarse voice led by other recordings of its reader).
Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch
from bench_voice import RATE, repaired, speech
from scipy.signal import fftconvolve
from torch import Tensor
from voice_measures import at, material, pesq_wideband, si_sdr, stoi_of

from restore.analysis.pitch import pitch_track
from restore.analysis.spectrum import ShortTime
from restore.damage.sound import Hum, OpticalTrack
from restore.damage.sound_speed import Wow
from restore.damage.sound_voice import Hoarseness
from restore.voice.repair_voice.analysis import BANDS, VoiceMeter

EARLY_SECONDS = 0.05
Files = list[tuple[str, Tensor]]


def pitch_off(sound: Tensor, clean: Tensor) -> float:
    """By how many percent the pitch strays from that of the clean voice, root mean square without the wildest tenth."""
    first, second = (pitch_track(one[0].double(), RATE) for one in (sound, clean))
    both = (first > 0) & (second > 0)
    away = (first[both] / second[both]).log()
    away = (away - away.median()).abs().sort().values[: int(0.9 * int(both.sum()))]
    return 100 * float(away.square().mean().sqrt())


def wow_rows(files: Files) -> Iterator[str]:
    yield "| wow, hum | pitch off before | after | SI-SDR to input |\n|---|---|---|---|"
    joined = torch.cat([clean for _, clean in files], 1)
    kinds = {
        "1 % at 0.8 Hz, hum at -20 dB": (Wow(0.01, seed=11), -20),
        "1 % at 0.8 Hz, hum at -30 dB": (Wow(0.01, seed=12), -30),
        "2 % at 1.3 Hz, hum at -20 dB": (Wow(0.02, 0.0, 1.3, seed=13), -20),
        "0.5 % at 0.5 Hz and 0.15 % at 6 Hz, hum at -20 dB": (Wow(0.005, 0.0015, 0.5, 6.0, seed=14), -20),
        "none, hum at -20 dB": (None, -20),
        "none, no hum": (None, None),
        "1 % at 0.8 Hz, no hum": (Wow(0.01, seed=15), None),
    }
    for name, (wow, level) in kinds.items():
        sound = joined if level is None else Hum(50, level, 8, seed=16).apply(joined, RATE)[0]
        damaged = sound if wow is None else wow.apply(sound, RATE)
        result = repaired(damaged, ("dewow", {}))
        same = "the same, to the bit" if torch.equal(result, damaged) else f"{si_sdr(result, damaged):.1f} dB"
        yield f"| {name} | {pitch_off(damaged, joined):.2f} % | {pitch_off(result, joined):.2f} % | {same} |"


def room_rows(files: Files) -> Iterator[str]:
    yield "| voice | PESQ | STOI | SI-SDR to the early sound |\n|---|---|---|---|"
    path = next((material() / "speech").glob("rir*.wav"))
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    answer = at(torch.from_numpy(samples.T[:1]), rate, RATE)
    answer = answer[int(np.abs(answer).argmax()) :] / np.abs(answer).max()
    table: dict[str, list[tuple[float, float, float]]] = {}
    took, heard = 0.0, 0.0
    for _, clean in files:
        wet, early = (
            torch.from_numpy(fftconvolve(clean[0].numpy(), part)[: clean.shape[1]].astype(np.float32))[None]
            for part in (answer, answer[: round(EARLY_SECONDS * RATE)])
        )
        began = time.process_time()
        dry = repaired(wet, ("dereverb", {}))
        took, heard = took + time.process_time() - began, heard + wet.shape[1] / RATE
        kinds = {
            "in the room": wet,
            "repaired": dry,
            "only subtracted (`--dereverb-atten-limit 0`)": repaired(wet, ("dereverb", {"atten_limit": 0})),
            "a dry voice, repaired": repaired(clean, ("dereverb", {})),
            "early sound alone": early,
        }
        for kind, sound in kinds.items():
            wanted = clean if "dry" in kind else early
            scores = pesq_wideband(sound, clean, RATE), stoi_of(sound, clean, RATE), min(99.0, si_sdr(sound, wanted))
            table.setdefault(kind, []).append(scores)
    for kind, rows in table.items():
        pesq, stoi, ratio = np.median(rows, axis=0)
        yield f"| {kind} | {pesq:.2f} | {stoi:.3f} | {ratio:.1f} dB |"
    yield f"\n{heard / took:.0f} times real time on one core, analysis included."


def spectrum_off(sound: Tensor, clean: Tensor, low: float, high: float) -> tuple[float, float]:
    """Mean absolute and mean difference of levels, dB, in eighths of a kilohertz and frames with voice."""
    stft = ShortTime(RATE, 0.0235)
    inside = (stft.hertz > low) & (stft.hertz < high)
    powers = [stft.forward(one)[0].abs().square() for one in (sound, clean)]
    loud = powers[1].sum(0) > 1e-3 * powers[1].sum(0).max()
    levels = [10 * torch.log10(torch.nn.functional.avg_pool1d(p[inside][:, loud].T[None], 3)[0] + 1e-5) for p in powers]
    away = levels[0] - levels[1]
    return float(away.abs().mean()), float(away.mean())


def narrowed(sound: Tensor, hertz: float) -> Tensor:
    """Nothing above a frequency."""
    size = 2 * sound.shape[1]
    gain = (1 + (torch.fft.rfftfreq(size, 1 / RATE).double() / hertz) ** 48).rsqrt()
    return torch.fft.irfft(torch.fft.rfft(sound.double(), size) * gain, size)[:, : sound.shape[1]].to(sound)


def band_rows(files: Files) -> Iterator[str]:
    yield "| band | spectrum above it off by (bias) | repaired |\n|---|---|---|"
    for kind, low, high in (("telephone, 3.4 kHz", 3600, 6400), ("optical track, 5 kHz", 5500, 9500)):
        rows = []
        for _, clean in files:
            damaged = narrowed(clean, 3400) if low < 5000 else OpticalTrack().apply(clean, RATE)
            result = repaired(damaged, ("bandwidth", {}))
            rows.append((*spectrum_off(damaged, clean, low, high), *spectrum_off(result, clean, low, high)))
        off, bias, after, rest = np.median(rows, axis=0)
        yield f"| {kind} | {off:.1f} dB ({bias:+.1f}) | {after:.1f} dB ({rest:+.1f}) |"


def bands_of(sound: Tensor) -> Tensor:
    meter = VoiceMeter(RATE)
    meter.add(sound[0], last=True)
    return torch.tensor(meter.spectrum() or [float("nan")] * len(BANDS))[2:-2]


def tone_rows(files: Files) -> Iterator[str]:
    yield "| voice | long-term spectrum off the reference | its tilt |\n|---|---|---|"
    reference = torch.cat([clean for _, clean in files[1::2]], 1)
    table: dict[str, list[tuple[float, float]]] = {}
    took, heard = 0.0, 0.0
    with TemporaryDirectory() as place:
        early = Path(place) / "early.wav"
        soundfile.write(early, reference[0].numpy(), RATE)
        wanted = bands_of(reference)
        octaves = np.log2(np.array(BANDS[2:-2]))
        for seed, (_, clean) in enumerate(files[::2]):
            hertz = torch.fft.rfftfreq(clean.shape[1], 1 / RATE)
            dull = torch.fft.irfft(torch.fft.rfft(clean) * (hertz.clamp(min=500) / 500) ** -0.5, clean.shape[1])
            worn = Hoarseness(seed=seed).apply(dull, RATE)
            claim = {"test_material": "published test recordings"}
            began = time.process_time()
            plain = repaired(worn, ("repair-voice", claim))
            took, heard = took + time.process_time() - began, heard + worn.shape[1] / RATE
            kinds = {
                "clean": clean,
                "dulled by 3 dB an octave, hoarse": worn,
                "repaired": plain,
                "repaired with `--reference`": repaired(worn, ("repair-voice", {**claim, "reference": str(early)})),
            }
            for kind, sound in kinds.items():
                levels = bands_of(sound)
                tilt = float(np.polyfit(octaves, (levels - wanted).numpy(), 1)[0])
                table.setdefault(kind, []).append((float((levels - wanted).abs().mean()), tilt))
    for kind, rows in table.items():
        off, tilt = np.median(rows, axis=0)
        yield f"| {kind} | {off:.1f} dB | {tilt:+.1f} dB an octave |"
    yield f"\n{heard / took:.0f} times real time on one core without a reference, analysis included."


PARTS = {"wow": wow_rows, "room": room_rows, "band": band_rows, "tone": tone_rows}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="which parts; all by default")
    parser.add_argument("--files", type=int, default=99, help="how many recordings")
    parser.add_argument("--seconds", type=float, default=60.0, help="how much of each")
    wanted = parser.parse_args()
    files = list(speech(material() / "speech", wanted.files, wanted.seconds))
    for part in wanted.parts or PARTS:
        print(f"## {part}\n", flush=True)
        for line in PARTS[part](files):
            print(line, flush=True)


if __name__ == "__main__":
    main()
