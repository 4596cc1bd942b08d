"""Peak memory and speed of `restore voice`, for a short track and a long one: memory must not grow with the track.

    python scripts/bench_sound_memory.py                       # ten minutes, and three hours
    python scripts/bench_sound_memory.py --minutes 5 30 90 -- --no-declick

Each track is made on the spot (48 kHz stereo: a voice-like tone in bursts, hiss, hum, clicks), and repaired by the
real command in a process of its own; the peak is the kernel's (`ru_maxrss`), of everything: Python, PyTorch, decoder,
stages, encoder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE = 48000
_CHILD = """
import resource, sys
from restore.cli.main import main
status = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(status)
"""


def make_track(path: Path, minutes: float) -> Path:
    """A FLAC of so many minutes; ten seconds of it are made anew again and again, no two alike."""
    random = np.random.default_rng(0)
    time_line = np.arange(10 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(130 + 20 * np.sin(2 * np.pi * 0.3 * time_line)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 20)) * np.clip(np.sin(2 * np.pi * 2.3 * time_line), 0, 1)
    hum = 0.01 * np.sin(2 * np.pi * 50 * time_line) + 0.006 * np.sin(2 * np.pi * 150 * time_line)
    with av.open(str(path), "w", format="flac") as out:
        stream: Any = out.add_stream("flac", rate=RATE)
        stream.codec_context.layout, stream.codec_context.format = "stereo", "s16"
        for part in range(max(1, round(minutes * 6))):
            sound = 0.15 * voice + hum + 0.01 * random.standard_normal((2, len(voice)))
            places = random.integers(0, len(voice), 60)
            sound[:, places] += random.uniform(-0.6, 0.6, len(places))
            stored = np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(stored.T.reshape(1, -1).copy(), format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, part * len(voice), Fraction(1, RATE)
            for piece in av.AudioResampler("s16", "stereo", RATE, 4608).resample(frame):
                out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return path


def measure(folder: Path, minutes: float, options: list[str]) -> tuple[float, float, float]:
    """Peak MiB, seconds that the repair took, and GB of job folder, for a track of so many minutes."""
    source = make_track(folder / f"{minutes:g}.flac", minutes)
    output = folder / f"{minutes:g}_out.flac"
    line = ["voice", str(source), str(output), "--quiet", "--no-report", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *line], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    taken = time.monotonic() - started
    job = sum(file.stat().st_size for file in Path(f"{output}.restore").rglob("*") if file.is_file())
    return int(done.stdout.split()[-1]) / 1024, taken, job / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=(10, 180))
    parser.add_argument("--work", type=Path, help="Where to put the tracks; a temporary folder if not given.")
    parser.add_argument("options", nargs="*", help="Passed to restore voice, after --.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        rows = [(minutes, *measure(Path(folder), minutes, arguments.options)) for minutes in arguments.minutes]
    print("| track | peak memory | repair took | times real time | job folder |\n|---|---|---|---|---|")
    for minutes, memory, taken, job in rows:
        speed = minutes * 60 / taken
        print(f"| {minutes:g} min | {memory:.0f} MiB | {taken:.0f} s | {speed:.1f} | {job:.1f} GB |")


if __name__ == "__main__":
    main()
