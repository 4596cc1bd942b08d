"""Measure the stages of voice repair on damage whose truth is known, beside other tools; print Markdown.

    RESTORE_TEST_MATERIAL=... python scripts/bench_voice.py [PART ...] [--files N] [--seconds S] [--snr DB ...]

Clean speech is brought to 48 kHz, damaged with seeds that nothing was tuned on, and repaired. Parts: hiss, clicks, hum,
clipping, clean, hoarse, archive, speed. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor
from voice_measures import at, dnsmos, material, score, si_sdr
from voice_peers import ffmpeg, noisereduce

from restore.analysis.voice_quality import voice_quality
from restore.damage.sound import Click, Clipping, Crackle, Hiss, Hum, level_of
from restore.damage.sound_voice import Hoarseness
from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import State
from restore.pipeline.contract import Device
from restore.pipeline.sound_chain import SoundChain
from restore.voice import OFF, SOUND

RATE = 48000
CPU = Device(torch.device("cpu"), "fp32")
GTCRN = "gtcrn_dns3.tar"


def repaired(sound: Tensor, *stages: tuple[str, dict[str, Any]]) -> Tensor:
    """Through stages one after another, each analysed on what reaches it, as a job does."""
    format = AudioFormat(RATE, "mono" if sound.shape[0] == 1 else "stereo", sound.shape[0])
    for name, options in stages:
        stage = SOUND.build(name, options)
        analyzer, state = stage.analyzer(), State()
        if analyzer is not None:
            analyzer.open(CPU)
            analyzer.begin(format)
            for number, part in enumerate(sound.split(format.chunk, 1)):
                analyzer.add(AudioChunk(part, number * format.chunk))
            state = analyzer.finish()
        chunks = torch.nn.functional.pad(sound, (0, -sound.shape[1] % format.chunk)).split(format.chunk, 1)
        stage.check(format)
        with SoundChain([stage], [state], format, sound.shape[1], CPU) as chain:
            done = chain.render(lambda wanted, held=chunks: [held[i] for i in wanted], range(len(chunks)))
            sound = torch.cat(list(done), 1)[:, : sound.shape[1]]
    return sound


def chain_names() -> list[tuple[str, dict[str, Any]]]:
    return [(name, {}) for name in SOUND.names() if name not in OFF]


def speech(folder: Path, most: int, seconds: float) -> Iterator[tuple[str, Tensor]]:
    """The clean recordings, evenly chosen, the beginning of each."""
    paths = sorted(folder.glob("LJ001-*.wav")) + sorted(folder.glob("p360*.flac"))
    for place in np.unique(np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int)):
        samples, rate = soundfile.read(paths[place], dtype="float32", always_2d=True)
        whole = torch.from_numpy(at(torch.from_numpy(samples.T), rate, RATE))[None]
        yield paths[place].stem, whole[:, : int(seconds * RATE)]


@dataclass(frozen=True)
class Bench:
    files: list[tuple[str, Tensor]]
    weights: Path
    snrs: tuple[int, ...] = (5, 10, 15)
    """dB of the voice over the hiss."""


def median(rows: list[dict[str, float]], name: str) -> float:
    return float(np.median([row[name] for row in rows]))


def denoisers(weights: Path) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Functions of the noisy sound and of the noise alone, which those that are told the noise may listen to."""

    def afftdn(sound: Tensor, noise: Tensor) -> Tensor:
        floor = max(-80, min(-20, round(20 * math.log10(level_of(noise)))))
        return ffmpeg(sound, RATE, "afftdn", f"nr=20:nf={floor}")

    gtcrn = str(weights / GTCRN)
    return {
        "untouched": lambda sound, _: sound,
        "restore": lambda sound, _: repaired(sound, ("dehiss", {})),
        "restore, --atten-limit 12": lambda sound, _: repaired(sound, ("dehiss", {"atten_limit": 12})),
        "restore, gtcrn-dns3": lambda sound, _: repaired(sound, ("dehiss", {"model": gtcrn})),
        "noisereduce": lambda sound, _: noisereduce(sound, RATE),
        "noisereduce, told the noise": lambda sound, noise: noisereduce(sound, RATE, noise),
        "FFmpeg afftdn": lambda sound, _: ffmpeg(sound, RATE, "afftdn"),
        "FFmpeg afftdn, told the noise": afftdn,
    }


def hiss_rows(bench: Bench) -> Iterator[str]:
    yield "| hiss | tool | SI-SDR up by | PESQ | STOI |\n|---|---|---|---|---|"
    for snr in bench.snrs:
        for tool, use in denoisers(bench.weights).items():
            rows = []
            for seed, (_, clean) in enumerate(bench.files):
                noisy = Hiss(snr, seed=seed).apply(clean, RATE)
                found = score(use(noisy, noisy - clean), clean, RATE)
                rows.append({**found, "gain": found["SI-SDR"] - si_sdr(noisy, clean)})
            numbers = f"{median(rows, 'gain'):+.2f} dB | {median(rows, 'PESQ'):.2f} | {median(rows, 'STOI'):.3f}"
            yield f"| {snr} dB | {tool} | {numbers} |"


def detected(changed: Tensor, bursts: list[Click]) -> tuple[int, int, Tensor]:
    """Clicks that were touched, clicks there were, and the middles of repairs near none; two samples of slack."""
    truth = torch.zeros(len(changed), dtype=torch.bool)
    hits = 0
    for start, shape in bursts:
        span = slice(max(0, start - 2), start + len(shape) + 2)
        truth[span] = True
        hits += bool(changed[span].any())
    edges = torch.diff(torch.nn.functional.pad(changed.int(), (1, 1)))
    starts, stops = torch.nonzero(edges > 0)[:, 0].tolist(), torch.nonzero(edges < 0)[:, 0].tolist()
    false = [(a + b) // 2 for a, b in zip(starts, stops, strict=True) if not truth[a:b].any()]
    return hits, len(bursts), torch.tensor(false, dtype=torch.long)


def click_rows(bench: Bench) -> Iterator[str]:
    """The last column: how many of the false finds are made in the recording as it is, before any click was added."""
    yield "| clicks | F1 | SI-SDR up by | FFmpeg adeclick | found of | false | the recording's own |"
    yield "|---|---|---|---|---|---|---|"
    own = [(repaired(clean, ("declick", {})) != clean)[0] for _, clean in bench.files]
    near = [torch.nn.functional.max_pool1d(one.float()[None], 97, 1, 48)[0] > 0 for one in own]
    for about, kind in {
        "20 a second, +6 dB": Crackle(), "5 a second, +9 dB": Crackle(5, 9), "100 a second, 0 dB": Crackle(100, 0)
    }.items():  # fmt: skip
        ours, theirs, counts = [], [], np.zeros(4)
        for seed, (_, clean) in enumerate(bench.files):
            crackle = Crackle(kind.clicks, kind.level, seed=seed)
            damaged, _ = crackle.apply(clean, RATE)
            result = repaired(damaged, ("declick", {}))
            hits, wanted, false = detected((result != damaged)[0], crackle.bursts(clean.shape[1], RATE))
            counts += hits, wanted, len(false), int(near[seed][false].sum())
            ours.append(si_sdr(result, clean) - si_sdr(damaged, clean))
            theirs.append(si_sdr(ffmpeg(damaged, RATE, "adeclick"), clean) - si_sdr(damaged, clean))
        hits, wanted, false, real = counts
        f1 = 2 * hits / (wanted + hits + false)
        row = f"{f1:.3f} | {np.median(ours):+.1f} dB | {np.median(theirs):+.1f} dB | {hits:.0f} of {wanted:.0f}"
        yield f"| {about} | {row} | {false:.0f} | {real:.0f} |"


def band_power(sound: Tensor, tones: list[float], width: Callable[[float], float]) -> float:
    """Power within a few hertz of tones."""
    spectrum = torch.fft.rfft((sound * torch.hann_window(sound.shape[1])).double()).abs().square().sum(0)
    hertz = torch.fft.rfftfreq(sound.shape[1], 1 / RATE)
    near = torch.stack([(hertz - tone).abs() < width(tone) for tone in tones]).any(0)
    return float(spectrum[near].sum())


def hum_rows(bench: Bench) -> Iterator[str]:
    yield "| hum | harmonics down by | voice off by |\n|---|---|---|"
    for frequency, drift in ((50.0, 0.0), (60.0, 0.002), (50.0, 0.005)):
        down, off = [], []
        for seed, (_, clean) in enumerate(bench.files):
            hum = Hum(frequency, -15, 8, drift, seed)
            damaged, lines = hum.apply(clean, RATE)
            result = repaired(damaged, ("dehum", {}))
            tones = [frequency * number for number in range(1, 9)]
            measured = partial(band_power, tones=tones, width=lambda tone, stray=drift: 1.5 + tone * stray)
            down.append(10 * math.log10(measured(lines.sum(0)[None]) / measured(result - clean)))
            off.append(abs(20 * math.log10(level_of(result) / level_of(clean))))
        yield f"| {frequency:g} Hz, drift {100 * drift:g} % | {np.median(down):.1f} dB | {max(off):.3f} dB |"


def clip_rows(bench: Bench) -> Iterator[str]:
    yield "| clipped at | SI-SDR up by | FFmpeg adeclip |\n|---|---|---|"
    for ceiling in (9, 6, 3):
        ours, theirs = [], []
        for _, clean in bench.files:
            damaged, _ = Clipping(ceiling).apply(clean, RATE)
            before = si_sdr(damaged, clean)
            ours.append(si_sdr(repaired(damaged, ("declip", {})), clean) - before)
            theirs.append(si_sdr(ffmpeg(damaged, RATE, "adeclip"), clean) - before)
        yield f"| RMS +{ceiling} dB | {np.median(ours):+.1f} dB | {np.median(theirs):+.1f} dB |"


def clean_rows(bench: Bench) -> Iterator[str]:
    found = {name: si_sdr(repaired(clean, *chain_names()), clean) for name, clean in bench.files}
    worst = min(found, key=lambda name: found[name])
    middle = np.median(list(found.values()))
    yield f"Clean speech through the whole chain: {middle:.1f} dB against itself, worst {found[worst]:.1f} ({worst})."


def hoarse_rows(bench: Bench) -> Iterator[str]:
    yield "| voice | jitter | shimmer | HNR | CPP |\n|---|---|---|---|---|"
    table: dict[str, list[tuple[float, ...]]] = {"clean": [], "hoarse": [], "repaired": []}
    for seed, (_, clean) in enumerate(bench.files):
        hoarse = Hoarseness(seed=seed).apply(clean, RATE)
        kinds = {
            "clean": clean,
            "hoarse": hoarse,
            "repaired": repaired(hoarse, ("repair-voice", {"test_material": "published test recordings"})),
        }
        measured = {kind: voice_quality(sound[0], RATE) for kind, sound in kinds.items()}
        for kind, quality in measured.items():
            if quality is not None:
                table[kind].append(astuple(quality))
    for kind, rows in table.items():
        jitter, shimmer, hnr, cpp = np.median(rows, axis=0)
        yield f"| {kind} | {100 * jitter:.2f} % | {100 * shimmer:.1f} % | {hnr:.1f} dB | {cpp:.1f} dB |"


def archive_rows(bench: Bench) -> Iterator[str]:
    yield "| DNSMOS | SIG | BAK | OVRL |\n|---|---|---|---|"
    for name in ("jfk.flac", "mix.wav"):
        samples, rate = soundfile.read(bench.weights.parent / "speech" / name, dtype="float32", always_2d=True)
        sound = torch.from_numpy(at(torch.from_numpy(samples.T), rate, RATE))[None]
        network = [
            (stage, {"model": str(bench.weights / GTCRN)} if stage == "dehiss" else {}) for stage, _ in chain_names()
        ]
        kinds = {
            "as it is": sound,
            "repaired": repaired(sound, *chain_names()),
            "gtcrn-dns3": repaired(sound, *network),
        }
        for kind, result in kinds.items():
            found = dnsmos(result, RATE, bench.weights)
            yield f"| {name}, {kind} | {found['SIG']:.2f} | {found['BAK']:.2f} | {found['OVRL']:.2f} |"


def speed_rows(bench: Bench) -> Iterator[str]:
    """The command itself, start-up, decoding and encoding included, on ten minutes of an archive's track."""
    minutes = 10
    joined = torch.cat([clean for _, clean in bench.files], 1)
    count = -(-60 * RATE // joined.shape[1])
    minute = joined.repeat(2, count)[:, : 60 * RATE]
    hum, _ = Hum(50, -30, 8, 0.001, seed=2).apply(Hiss(30, seed=1).apply(minute, RATE), RATE)
    kinds = {"hiss, hum": hum, "hiss, hum, 120 clicks a minute": Crackle(2, 6, seed=3).apply(hum, RATE)[0]}
    yield f"| {minutes} minutes, 48 kHz stereo FLAC, {os.cpu_count()} cores | took | times real time |\n|---|---|---|"
    for name, sound in kinds.items():
        with TemporaryDirectory() as folder:
            source = Path(folder) / "track.flac"
            soundfile.write(source, (0.9 * sound / sound.abs().max()).repeat(1, minutes).T.numpy(), RATE)
            began = time.perf_counter()
            line = ["voice", str(source), str(Path(folder) / "clear.flac"), "--quiet", "--no-report"]
            subprocess.run([sys.executable, "-m", "restore", *line], check=True)
            took = time.perf_counter() - began
        yield f"| {name} | {took:.1f} s | {60 * minutes / took:.1f} |"


PARTS = {
    "hiss": hiss_rows, "clicks": click_rows, "hum": hum_rows, "clipping": clip_rows, "clean": clean_rows,
    "hoarse": hoarse_rows, "archive": archive_rows, "speed": speed_rows,
}  # fmt: skip


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="which parts; all by default")
    parser.add_argument("--files", type=int, default=99, help="how many recordings")
    parser.add_argument("--seconds", type=float, default=60.0, help="how much of each")
    parser.add_argument(
        "--snr", type=int, nargs="+", default=Bench.snrs, metavar="DB", help="hiss only at these levels"
    )
    wanted = parser.parse_args()
    root = material()
    files = list(speech(root / "speech", wanted.files, wanted.seconds))
    bench = Bench(files, root / "weights", tuple(wanted.snr))
    for part in wanted.parts or PARTS:
        print(f"## {part}\n", flush=True)
        for line in PARTS[part](bench):
            print(line, flush=True)


if __name__ == "__main__":
    main()
