"""Kill a job at random moments until it is done, and compare its pixels with those of one that nobody disturbed.

    python scripts/soak_resume.py --kills 20

The film is a tiny one made on the spot, encoded without loss. Every attempt is the real command; it is killed with
SIGKILL (a power cut, the kernel's out-of-memory killer), after a random time, or just after the file named by
something random it wrote appeared. Then one command finishes the job.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

Start = Callable[[Sequence[str]], int]
"""Starts `restore` with these arguments and returns its process id."""


def make_film(path: Path, frames: int) -> Path:
    """A film of tiny textured frames with a cut every 75."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            rng = np.random.default_rng(number // 75)
            picture = rng.integers(0, 90, (48, 64, 3)) + (120 if number // 75 % 2 else 10)
            rolled = np.roll(picture, number, axis=1).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rolled, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def decoded(path: Path) -> list[tuple[int, bytes]]:
    """pts and samples of every frame."""
    with av.open(str(path)) as container:
        return [(frame.pts, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]


def start_command(arguments: Sequence[str]) -> int:
    """The real command in a fresh interpreter."""
    silent = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-m", "restore", *arguments], stdout=silent, stderr=silent).pid


@dataclass
class Soak:
    """One film, one output, many deaths."""

    folder: Path
    start: Start
    frames: int = 600
    seed: int = 1
    killed: int = 0
    outlived: int = 0
    """Attempts that were over before their moment came."""
    moments: list[str] = field(default_factory=list)

    def arguments(self, output: Path) -> list[str]:
        """The command line, the same each time."""
        return ["upscale", str(self.folder / "in.mkv"), str(output), "--strength", "0", "--codec", "ffv1", "--quiet"]

    def run(self, kills: int) -> None:
        """Raises AssertionError if anything differs from what was promised."""
        make_film(self.folder / "in.mkv", self.frames)
        reference, output = self.folder / "reference.mkv", self.folder / "out.mkv"
        began = time.monotonic()
        assert self._wait(self.start(self.arguments(reference))) == 0
        usual = time.monotonic() - began
        rng = random.Random(self.seed)
        while self.killed < kills:
            self._attempt(output, rng, usual)
        assert self._wait(self.start(self.arguments(output))) == 0, "one command finishes the job"
        assert decoded(output) == decoded(reference), "pixels or times differ"
        left = list(self.folder.rglob("*.part"))
        assert not left, f"left behind: {left}"

    def _attempt(self, output: Path, rng: random.Random, usual: float) -> None:
        job = output.with_name(output.name + ".restore")
        before = self._journal(job)
        process = self.start(self.arguments(output))
        how = rng.choice(("time", "list", "segment", "journal", "join", "output"))
        deadline = time.monotonic() + rng.uniform(0.2, 1) * usual if how == "time" else time.monotonic() + 60
        while time.monotonic() < deadline and not self._reached(how, job, output, len(before)):
            if os.waitpid(process, os.WNOHANG)[0]:
                self.outlived += 1
                self._begin_again(job, output)
                return
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.01))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        self.killed += 1
        self.moments.append(how)
        after = self._journal(job)
        assert after[: len(before)] == before, "the journal only grows"
        assert len(set(after)) == len(after), "a finished segment was rendered twice"

    @staticmethod
    def _reached(how: str, job: Path, output: Path, entries: int) -> bool:
        if how == "list":
            return (job / "job.json").exists()
        if how == "segment":
            return any((job / "segments").glob("*.part"))
        if how == "journal":
            return len(Soak._journal(job)) > entries
        if how == "join":
            return output.with_name(output.name + ".part").exists()
        return how == "output" and output.exists()

    @staticmethod
    def _begin_again(job: Path, output: Path) -> None:
        """The job was finished: take away the output and a few segments, so that there is something left to do."""
        output.unlink(missing_ok=True)
        lines = (job / "journal.jsonl").read_text().splitlines()
        (job / "journal.jsonl").write_text("".join(line + "\n" for line in lines[: len(lines) // 2]))

    @staticmethod
    def _journal(job: Path) -> list[str]:
        path = job / "journal.jsonl"
        if not path.exists():
            return []
        keys = []
        for line in path.read_text(errors="replace").splitlines():
            try:
                keys.append(json.loads(line)["key"])
            except (ValueError, KeyError):
                continue  # torn by the kill
        return keys

    @staticmethod
    def _wait(process: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), start_command, asked.frames, asked.seed)
        soak.run(asked.kills)
        early = f"{soak.outlived} times it was done before its moment"
        print(f"identical after {soak.killed} kills ({', '.join(soak.moments)}); {early}")


if __name__ == "__main__":
    main()
