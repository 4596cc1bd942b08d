"""What a batch, its workers and its reports cost beside the work itself.

    python scripts/bench_batch.py scheduling --reels 5000 --folder /tmp/reels
    python scripts/bench_batch.py workers
    python scripts/bench_batch.py report --folder /tmp/report

`scheduling`: one-second clips of 32x32 at two frames a second (names of one and the same file) through `deflicker`, so
that nearly all time is the batch's own. Counted is what lies between two jobs: the time of the whole run, less starting
the child process, less the seconds that each job took by itself. Hashing source and output, the ledger and its flush to
the disk are in it. Memory is that of parent and child. Stopped, the same command goes on with what is left.

`workers`: `restore upscale` of one film with one worker held on one core, and with two workers on two. Analysis,
joining and starting are in both.

`report`: a film of ten minutes through `deflicker` and a plain resize to 640x480, its report written again from what
the job folder holds: seconds and bytes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from restore.archive.batch import Batch, BatchOptions, batch_folder
from restore.archive.ledger import Ledger, Outcome
from restore.archive.reels import Reel, reels_in
from restore.recipe import Recipe


def make_film(path: Path, size: tuple[int, int], frames: int, rate: int, shot: int, codec: str = "ffv1") -> Path:
    """Drifting texture with flicker and specks, a cut every `shot` frames."""
    part = path.with_name(f"part.{path.name}")
    levels = np.arange(256)
    with av.open(str(part), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={"preset": "ultrafast"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.thread_count = 1
        planes = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
        for number in range(frames):
            if number % shot == 0:
                coarse = np.random.default_rng((7, number)).integers(40, 200, (size[1] // 8 + 2, size[0] // 8 + 2))
                picture = np.kron(coarse, np.ones((8, 8), int))[: size[1], : size[0]]
            flicker = (levels * (1 + 0.05 * np.sin(2.1 * number))).clip(16, 235).astype(np.uint8)
            planes[: size[1]] = flicker[np.roll(picture, number // 2, 1)]
            for y, x in np.random.default_rng((8, number)).integers(0, (size[1] - 3, size[0] - 3), (4, 2)):
                planes[y : y + 3, x : x + 3] = 250
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    return part.rename(path)


class Watcher:
    """Notes memory now and then."""

    def __init__(self, every: int) -> None:
        self.every, self.count, self.first = every, 0, 0.0
        self.work = 0.0
        self.memory: list[tuple[int, float, float]] = []

    def started(self, reel: Reel) -> None:
        self.first = self.first or time.monotonic()

    def progress(self, reel: Reel, progress: Any) -> None:
        pass

    def skipped(self, reel: Reel, outcome: Outcome) -> None:
        pass

    def finished(self, reel: Reel, outcome: Outcome) -> None:
        assert outcome.state == "done", outcome.error
        if not self.count:  # the child process is there, and warm
            self.first = time.monotonic()
        else:
            self.work += outcome.seconds
        self.count += 1
        if self.count % self.every == 1:
            here = psutil.Process()
            children = sum(child.memory_info().rss for child in here.children())
            self.memory.append((self.count, here.memory_info().rss / 2**20, children / 2**20))


def scheduling(folder: Path, count: int, minutes: float) -> None:
    source = folder / "in"
    if not source.exists():
        source.mkdir(parents=True)
        clip = make_film(folder / "clip.mkv", (32, 32), 2, 2, 2)
        for number in range(count):
            os.link(clip, source / f"{number:05d}.mkv")
    out, recipe, watcher = folder / "out", Recipe.of("deflicker"), Watcher(max(1, count // 10))
    began = time.monotonic()
    reels = list(reels_in(source, out, "{stem}.mkv"))
    listed = time.monotonic() - began
    options = BatchOptions(device="cpu", report=False, max_hours=minutes / 60)
    with batch_folder(out) as place:
        batch = Batch(Ledger(place / "ledger.jsonl"), lambda _: recipe, options, watcher)
        began = time.monotonic()
        summary = batch.run(reels, out)
        ended = time.monotonic()
        batch.close()
    print(f"{len(reels)} clips listed in {listed:.2f} s; {summary.unchanged} done before, {summary.done} done now in "
          f"{ended - began:.1f} s, {summary.left} left")  # fmt: skip
    if watcher.count > 1:
        each = (ended - watcher.first - watcher.work) / (watcher.count - 1)
        print(f"each: {1000 * watcher.work / (watcher.count - 1):.1f} ms of work, {1000 * each:.1f} ms of scheduling")
    for number, parent, child in watcher.memory:
        print(f"  after {number}: {parent:.0f} MiB, its child {child:.0f} MiB")
    if not summary.left:
        began = time.monotonic()
        with batch_folder(out) as place:
            again = Batch(Ledger(place / "ledger.jsonl"), lambda _: recipe, options, watcher).run(reels, out)
        print(f"again: {again.unchanged} done before, {time.monotonic() - began:.2f} s")


def timed(words: Sequence[str], cores: set[int]) -> float:
    """Seconds of the real command, held on some cores."""
    began = time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen([sys.executable, "-m", "restore", *words], env=environment)
    os.sched_setaffinity(running.pid, cores)
    assert running.wait() == 0
    return time.monotonic() - began


def workers(folder: Path, frames: int) -> None:
    film = folder / "film.mkv"
    if not film.exists():
        make_film(film, (320, 240), frames, 24, 80)
    words = ["upscale", str(film), "", "--scale", "2", "--device", "cpu", "--quiet", "--no-report", "--threads", "1"]
    seconds = {}
    for count in (1, 2):
        words[2] = str(folder / f"out{count}.mkv")
        seconds[count] = timed([*words, "--workers", str(count)], set(range(count)))
        rate = frames / seconds[count]
        print(f"{count} workers on {count} cores: {seconds[count]:.1f} s, {rate:.1f} frames/s", flush=True)
    same = (folder / "out1.mkv").read_bytes() == (folder / "out2.mkv").read_bytes()
    print(f"{seconds[1] / seconds[2]:.2f} times faster; outputs {'are the same' if same else 'DIFFER'}")


def report(folder: Path, minutes: float, size: tuple[int, int]) -> None:
    from restore import api, pages

    film, out = folder / "film.mkv", folder / "out.mkv"
    if not film.exists():
        make_film(film, size, round(minutes * 60 * 24), 24, 130, "libx264")
    stages = [{"name": "deflicker"}, {"name": "upscale", "scale": 2.5, "strength": 0}]
    recipe = Recipe.from_dict({"output": {"preset": "ultrafast"}, "stage": stages})
    began = time.monotonic()
    result = api.run(film, out, recipe, device="cpu")
    print(f"{result.frames} frames, {result.rendered} rendered in {time.monotonic() - began:.0f} s", flush=True)
    pages.report(result.folder)  # what is imported once is imported
    began = time.monotonic()
    page = pages.report(result.folder)
    kept = sum(path.stat().st_size for path in (result.folder / "stills").iterdir())
    print(f"report: {time.monotonic() - began:.2f} s, {page.stat().st_size / 1e6:.2f} MB; stills {kept / 1e6:.1f} MB "
          f"beside a film of {out.stat().st_size / 1e6:.0f} MB")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("scheduling", "workers", "report"))
    parser.add_argument("--folder", type=Path, help="kept, so that a run stopped goes on; a temporary one if not given")
    parser.add_argument("--reels", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=9, help="most a scheduling run may take; the film's length")
    parser.add_argument("--frames", type=int, default=480)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 192))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if asked.what == "scheduling":
            scheduling(folder, asked.reels, asked.minutes)
        elif asked.what == "workers":
            workers(folder, asked.frames)
        else:
            report(folder, asked.minutes, tuple(asked.size))


if __name__ == "__main__":
    main()
