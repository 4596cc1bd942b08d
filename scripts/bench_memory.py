"""Peak memory of a job, for a short film and one ten times as long: it must not grow with the film.

    python scripts/bench_memory.py                # 300 and 3,000 frames
    python scripts/bench_memory.py --size 640x480 -- --strength 0
    python scripts/bench_memory.py --command colorize --shot 3000 -- --recolor

Each film is run by the real command in a process of its own; the peak is the kernel's (`ru_maxrss`), of everything:
Python, PyTorch, decoder, network, encoder. Films are made on the spot, with a cut every
hundred frames or as --shot says.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np

_CHILD = """
import resource, sys
from restore.cli.main import main
status = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(status)
"""


def make_film(path: Path, frames: int, width: int, height: int, shot: int) -> Path:
    """A film of drifting texture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            rng = np.random.default_rng(number // shot % 4)
            picture = rng.integers(0, 90, (height, width, 3)) + (120 if number // shot % 2 else 10)
            rolled = np.roll(picture, number % width, axis=1).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rolled, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def peak(folder: Path, frames: int, size: tuple[int, int], shot: int, command: list[str]) -> float:
    """MiB that a job of so many frames took at most."""
    source = make_film(folder / f"{frames}.mp4", frames, *size, shot)
    stage, *options = command
    line = [stage, str(source), str(folder / f"{frames}_out.mkv"), "--quiet", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *line], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return int(done.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs=2, default=(300, 3000))
    parser.add_argument("--size", default="128x96")
    parser.add_argument("--command", default="upscale")
    parser.add_argument("--shot", type=int, default=100, help="frames from cut to cut")
    parser.add_argument("options", nargs="*", help="options of the command, after --")
    asked = parser.parse_args()
    width, height = (int(side) for side in asked.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        command = [asked.command, *asked.options]
        short, long = (peak(Path(folder), frames, (width, height), asked.shot, command) for frames in asked.frames)
    growth = 100 * (long / short - 1)
    print(f"{asked.frames[0]} frames: {short:.0f} MiB; {asked.frames[1]} frames: {long:.0f} MiB; {growth:+.1f} %")
    print(f"(of the measuring process itself: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB)")


if __name__ == "__main__":
    main()
