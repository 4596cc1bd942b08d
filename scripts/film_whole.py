"""The whole of `restore film` without enlarging: harm done to clean modern clips, and speed.

**harm**: real clips that need no restoring, a few seconds each, through the preset as it is, against the input, before
any lossy encoder (FFV1). PSNR over all samples of all planes, of the worst frame and of the clip.

**speed**: a real film brought to 640x480, on two threads; frames a second of the whole command, from start to joined
film, of the wall clock and of the processor's own (which says what it would be if nothing else ran); and the peak of
memory for films of one length and of four times that.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

import restore

FRAMES = 48
CLIPS = ("car-detection.mp4", "cockatoo.mp4", "asl", "orig.mp4", "carphone_pristine.mp4")
SPEED_FRAMES = (96, 384)
SIZE = (640, 480)
LONG_FRAMES, LONG_SIZE = 960, (320, 240)
"""Of the film that shows whether memory grows."""
_EVERY = 1.0
"""Seconds between two looks at memory."""


def part(source: Path, target: Path, frames: int, size: tuple[int, int] | None = None) -> Path:
    """The first frames of a film, without loss (brought to a size with bicubic resampling, if one is given)."""
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        stream = film.streams.video[0]
        rate = Fraction(stream.average_rate or 25)
        written = out.add_stream("ffv1", rate=rate)
        count, first = 0, True
        while count < frames:
            film.seek(0)
            before = count
            for frame in film.decode(stream):
                width, height = size or (frame.width, frame.height)
                if first:
                    written.width, written.height, written.pix_fmt, first = width, height, "yuv420p", False
                made = frame.reformat(width, height, "yuv420p", interpolation="BICUBIC")
                made.pts, made.time_base = count, 1 / rate
                out.mux(written.encode(made))
                count += 1
                if count == frames:
                    break
            if count == before or size is None:  # a clip that is shorter is only gone round for speed
                break
        out.mux(written.encode(None))
    return target


def planes_of(path: Path) -> Iterator[np.ndarray]:
    """All samples of each frame, one after another."""
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            yield frame.to_ndarray(format="yuv420p").astype(np.float64)


def psnr(mean_square: float) -> float:
    return float(10 * np.log10(255**2 / mean_square)) if mean_square else float("inf")


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def harm_rows(material: Path) -> Iterator[str]:
    yield line("clip", "frames", "PSNR against the input", "worst frame") + "\n|---|---|---|---|"
    for name in CLIPS:
        found = material / "video" / name
        source = sorted(found.iterdir())[0] if found.is_dir() else found
        with tempfile.TemporaryDirectory(prefix="bench-film-") as folder:
            clip = part(source, Path(folder, "clip.mkv"), FRAMES)
            recipe = restore.preset("film", skip=["upscale"])
            lossless = restore.Recipe.from_dict({**recipe.as_dict(), "output": {"codec": "ffv1"}})
            restore.run(clip, Path(folder, "done.mkv"), lossless)
            pairs = zip(planes_of(clip), planes_of(Path(folder, "done.mkv")), strict=True)
            errors = [float(np.mean((before - after) ** 2)) for before, after in pairs]
            yield line(name, str(len(errors)), *(f"{psnr(e):.1f} dB" for e in (float(np.mean(errors)), max(errors))))


@dataclass(frozen=True)
class Measured:
    wall: float
    cpu: float
    peak: float
    """MiB."""


def tree(root: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def taken(process: int) -> tuple[float, float]:
    """Its processor time so far, in seconds, and its memory in MiB, what is shared divided among those who share it."""
    folder = Path(f"/proc/{process}")
    try:
        ticks = (folder / "stat").read_text().rsplit(")", 1)[1].split()[11:13]
        memory = next(line for line in (folder / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0.0, 0.0
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), int(memory.split()[1]) / 1024


def measured(clip: Path, output: Path) -> Measured:
    """One run of the command; its workers count. Linux only."""
    words = [sys.executable, "-m", "restore", "film", str(clip), str(output), "--no-upscale", "--quiet"]
    started = time.monotonic()
    seconds: dict[int, float] = {}
    peak = 0.0
    with subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "2"}) as running:
        while running.poll() is None:
            now = {process: taken(process) for process in tree(running.pid)}
            peak = max(peak, sum(memory for _, memory in now.values()))
            seconds.update({process: max(cpu, seconds.get(process, 0.0)) for process, (cpu, _) in now.items()})
            time.sleep(_EVERY)
    wall = time.monotonic() - started
    if running.returncode:
        raise SystemExit(f"restore film ended with {running.returncode}")
    return Measured(wall, sum(seconds.values()), peak)


def speed_rows(material: Path) -> Iterator[str]:
    yield line("film", "frames a second", "of processor time", "peak memory") + "\n|---|---|---|---|"
    small = [(frames, LONG_SIZE) for frames in (SPEED_FRAMES[-1], LONG_FRAMES)]
    for frames, size in [*((frames, SIZE) for frames in SPEED_FRAMES), *small]:
        with tempfile.TemporaryDirectory(prefix="bench-film-") as folder:
            clip = part(material / "video" / "studio_feature_bw.mp4", Path(folder, "clip.mkv"), frames, size)
            one = measured(clip, Path(folder, "done.mkv"))
        rates = (f"{frames / one.wall:.1f}", f"{frames / one.cpu:.1f}")
        yield line(f"{size[0]}x{size[1]}, {frames} frames", *rates, f"{one.peak:.0f} MiB")
