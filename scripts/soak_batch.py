"""Twenty clips, three of them broken, through `restore batch`; then the same with everything killed again and again.

    python scripts/soak_batch.py --kills 10

Every run is the real command. First undisturbed: seventeen good outputs, three failures named, and a second run that
does nothing. Then into other folders, where the whole tree of processes is ended with SIGKILL (a power cut) at random
moments until it happened so often; one last command must leave the same bytes as the undisturbed run, with no segment
rendered twice. `--engine ray` and so on go to every command alike.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

RECIPE = '[output]\nthreads = 1\n\n[[stage]]\nname = "deflicker"\n'
NAMES = ["reel one.mkv", 'o\'clock "7".mkv', "新年\n第二行.mkv", "-x.mkv", "%d.mkv", "[1].mkv", "é.mkv", "a&b;c.mkv"]


def make_clip(path: Path, frames: int, seed: int) -> None:
    """Flickering texture with a cut in the middle."""
    with av.open(str(path), "w", format="mp4" if path.suffix == ".mp4" else "matroska") as container:
        stream = container.add_stream("mpeg4" if path.suffix == ".mp4" else "ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(frames):
            rng = np.random.default_rng((seed, number * 2 // frames))
            picture = rng.integers(30, 200, (120, 160, 3)) * (1 + 0.1 * np.sin(2.1 * number))
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make_reels(folder: Path, frames: int) -> tuple[set[str], set[str]]:
    """Seventeen good clips with awkward names, in three folders, and three broken ones; the names of both."""
    good = [*NAMES, *(f"sub/deep/clip {number}.mkv" for number in range(5)), *(f"b/{n}.mkv" for n in range(4))]
    for number, name in enumerate(good):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_clip(folder / name, frames + 8 * number, number)
    (folder / "no film.mkv").write_text("Reel 7 is missing, see box 12.\n")
    (folder / "b" / "empty.mov").write_bytes(b"")
    whole = folder / "sub" / "no index.mp4"
    make_clip(whole, frames, 99)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])  # the index lies at its end
    return set(good), {"no film.mkv", "b/empty.mov", "sub/no index.mp4"}


def contents(folder: Path) -> dict[str, bytes]:
    """Every output below a folder."""
    outputs = (path for path in folder.rglob("*") if path.is_file() and path.suffix in (".mkv", ".mp4", ".mov"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in outputs if "restore" not in path.parts[-2]}


def journals(folder: Path) -> dict[str, list[str]]:
    """The keys of the segments that each job below a folder says it has rendered."""
    found = {}
    for path in folder.rglob("journal.jsonl"):
        lines = path.read_text(errors="replace").splitlines(keepends=True)
        found[str(path.parent.relative_to(folder))] = [json.loads(x)["key"] for x in lines if x.endswith("}\n")]
    return found


@dataclass
class Soak:
    """One folder of reels, many deaths."""

    folder: Path
    words: Sequence[str]
    killed: int = 0
    outlived: int = 0
    """Runs that were over before their moment came."""
    running: int = 0
    """The process group of the present run."""
    moments: list[str] = field(default_factory=list)

    def start(self, out: str) -> subprocess.Popen[str]:
        words = ["batch", str(self.folder / "in"), str(self.folder / out), "--recipe", str(self.folder / "r.toml")]
        running = subprocess.Popen(
            [sys.executable, "-m", "restore", *words, "--json", *self.words], stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.running = running.pid
        return running

    def stop(self) -> None:
        """Leave nothing running."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.running, signal.SIGKILL)

    def whole_run(self, out: str) -> tuple[list[dict[str, Any]], float]:
        """Run it to its end; its events and the seconds it took."""
        began = time.monotonic()
        running = self.start(out)
        said, _ = running.communicate()
        assert running.returncode == 3, f"exit status {running.returncode}: some failed"
        return [json.loads(line) for line in said.splitlines()], time.monotonic() - began

    def undisturbed(self, frames: int) -> float:
        """Raises AssertionError unless it goes as promised; prints figures, returns the seconds of the first run."""
        good, bad = make_reels(self.folder / "in", frames)
        (self.folder / "r.toml").write_text(RECIPE)
        first, seconds = self.whole_run("reference")
        assert set(contents(self.folder / "reference")) == good
        failures = {e["source"]: e["error"] for e in first if e["event"] == "failed"}
        assert {str(Path(name).relative_to(self.folder / "in")) for name in failures} == bad
        assert all(name in error for name, error in failures.items())
        print(f"first run: {first[-1]['done']} restored, {len(failures)} failed, {seconds:.1f} s")
        for error in failures.values():
            print(f"  {error.replace(str(self.folder) + '/', '')}")
        before = contents(self.folder / "reference")
        again, idle = self.whole_run("reference")
        assert not [e for e in again if e["event"] == "reel"], "the second run began a reel"
        assert contents(self.folder / "reference") == before
        print(f"second run: {again[-1]['unchanged']} done before, {len(again[-1]['failed'])} failed, {idle:.2f} s")
        return seconds

    def disturbed(self, kills: int, usual: float, seed: int) -> None:
        """Kill until it was often enough, then finish; raises AssertionError if anything is not as undisturbed."""
        rng, number = random.Random(seed), 0
        reference, keys = contents(self.folder / "reference"), journals(self.folder / "reference")
        while self.killed < kills:
            out = f"out{number}"
            while self.killed < kills and self.attempt(out, rng, usual):
                pass
            self.whole_run(out)
            assert contents(self.folder / out) == reference, "outputs differ"
            done = journals(self.folder / out)
            assert set(done) == set(keys), "jobs differ"
            assert all(len(set(done[job])) == len(done[job]) == len(keys[job]) for job in keys), "rendered twice"
            left = list((self.folder / out).rglob("*.part"))
            assert not left, f"left behind: {left}"
            number += 1
        print(f"killed {self.killed} times ({', '.join(self.moments)}), over before {self.outlived} times: same bytes, "
              "no segment rendered twice")  # fmt: skip

    def attempt(self, out: str, rng: random.Random, usual: float) -> bool:
        """One run that is killed; False if it was over before."""
        began, running = time.monotonic(), self.start(out)
        assert running.stdout is not None
        before = journals(self.folder / out)
        if rng.random() < 0.3:  # at any time, starting up included
            moment = rng.uniform(0, usual)
            while running.poll() is None and time.monotonic() - began < moment:
                time.sleep(0.002)
        else:  # at the work: a little after one of the first reels was begun
            wanted = rng.randint(1, 6)
            for line in running.stdout:
                wanted -= json.loads(line)["event"] == "reel"
                if not wanted:
                    break
            time.sleep(rng.uniform(0, 1.5))
        over = running.poll() is not None
        if not over:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        running.stdout.close()
        if over:
            self.outlived += 1
            return False
        self.killed += 1
        after = journals(self.folder / out)
        self.moments.append(f"{time.monotonic() - began:.1f} s")
        for job, done in before.items():
            assert after[job][: len(done)] == done, "a journal only grows"
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--frames", type=int, default=60, help="of the shortest clip")
    parser.add_argument("--seed", type=int, default=1)
    asked, words = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), words)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            usual = soak.undisturbed(asked.frames)
            soak.disturbed(asked.kills, usual, asked.seed)
        finally:
            soak.stop()


if __name__ == "__main__":
    main()
