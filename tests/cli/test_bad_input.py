"""What people really hand over, through the real command line: one clear line, the right status, nothing half-made."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from material.films import decoded, samples, write_film, write_pictures

import restore
from restore.cli.main import main
from restore.errors import DiskFullError
from restore.media.options import OutputOptions
from restore.pipeline.journal import Journal
from restore.pipeline.progress import Progress
from restore.recipe import Recipe

Run = Callable[..., str]
FFV1 = ["--codec", "ffv1"]


@pytest.fixture
def fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `restore upscale` and check how it fails; returns what it said. FFmpeg's own words would be caught too."""

    def run(source: Path | str, *options: str, status: int = 1, output: str = "out.mkv") -> str:
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        capfd.readouterr()
        found = main(["upscale", str(source), str(tmp_path / output), "--quiet", *options])
        said = capfd.readouterr()
        assert not said.out
        assert found == status, said.err
        assert said.err.startswith("restore: ")
        assert said.err.count("\n") == 1
        assert "Traceback" not in said.err
        assert "internal error" not in said.err
        for path, content in before.items():
            assert path.read_bytes() == content
        assert not list(tmp_path.rglob("*.part"))
        return said.err

    return run


def corrupt(path: Path, start: float, stop: float) -> None:
    """Overwrite a part of a file, given as fractions of its length, with noise."""
    content = bytearray(path.read_bytes())
    first, last = int(len(content) * start), int(len(content) * stop)
    content[first:last] = np.random.default_rng(1).bytes(last - first)
    path.write_bytes(content)


def test_no_film_at_all(tmp_path: Path, fails: Run) -> None:
    assert "no such file" in fails(tmp_path / "missing.mp4")
    (tmp_path / "empty.mp4").touch()
    assert "is empty" in fails(tmp_path / "empty.mp4")
    (tmp_path / "folder").mkdir()
    assert "folder" in fails(tmp_path / "folder")
    (tmp_path / "text.mp4").write_text("This is no film.\n" * 50)
    assert "text.mp4" in fails(tmp_path / "text.mp4")
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(5000))
    assert "noise.mkv" in fails(tmp_path / "noise.mkv")
    (tmp_path / "text.png").write_text("This is no picture.")
    assert "text.png" in fails(tmp_path / "text.png", output="out.png")
    assert "no file of that pattern" in fails(tmp_path / "scan_%04d.png", "--fps", "24")
    assert not (tmp_path / "out.mkv.restore").exists()


def test_only_sound(tmp_path: Path, fails: Run) -> None:
    with av.open(str(tmp_path / "sound.mka"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    assert "no video stream" in fails(tmp_path / "sound.mka")


def test_no_frames(tmp_path: Path, fails: Run) -> None:
    with av.open(str(tmp_path / "none.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    fails(tmp_path / "none.mp4")
    whole = write_film(tmp_path / "whole.mp4", 30, codec="libx264")
    content = whole.read_bytes()
    (tmp_path / "head.mp4").write_bytes(content[: len(content) // 3])  # the index of an MP4 lies at its end
    fails(tmp_path / "head.mp4")


def test_truncated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What decodes is restored; status 3 says that something is missing, or 0 where nothing shows that it is."""
    whole = write_film(tmp_path / "whole.mkv", 100, codec="libx264", options={"g": "10", "bf": "0"})
    content = whole.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(content[: len(content) * 2 // 3])
    status = main(["upscale", str(cut), str(tmp_path / "out.mkv"), "--strength", "0", "-q", *FFV1])
    assert status in (0, 3)
    assert 30 < len(decoded(tmp_path / "out.mkv")) < 100


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_corrupt_middle(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_film(
        tmp_path / f"in{suffix}", 150, (50, 100), codec="libx264", options={"g": "10", "bf": "0"}, audio=True
    )
    clean = dict(decoded(source))
    corrupt(source, 0.4, 0.45)
    line = ["upscale", str(source), str(tmp_path / "out.mkv"), "--strength", "0", "--scale", "1", *FFV1]
    assert main(line) == 3
    said = capsys.readouterr().err.splitlines()
    named = [line for line in said if line.startswith("restore: damaged source: 0:00:0")]
    assert named
    result = dict(decoded(tmp_path / "out.mkv"))
    assert 100 < len(result) <= 150
    assert set(result) <= set(clean), "what is left lies where it lay: gaps stay gaps"
    assert '"damaged"' in (tmp_path / "out.mkv.restore/job.json").read_text()
    assert main([*line, "-q"]) == 3, "said again by a run that has nothing to do"


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (65, 47), (2, 300)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int], tiny_network: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 3, size=size, pix_fmt="yuv444p")
    for name in ("out.mkv", "out.mp4"):
        for scale in ("1", "2", "1.5"):
            line = ["upscale", str(source), str(tmp_path / name), "--model", str(tiny_network), "--scale", scale]
            status = main([*line, "--quiet"])
            if status == 2 and min(size) < 16:  # an encoder's own limit, named before rendering
                continue
            assert status == 0
            with av.open(str(tmp_path / name)) as container:
                frames = list(container.decode(video=0))
            wanted = tuple(max(1, round(side * float(scale))) for side in size)
            assert [(frame.width, frame.height) for frame in frames] == [wanted] * 3


def test_one_pixel(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 2, size=(1, 1), pix_fmt="yuv444p")
    assert main(["upscale", str(source), str(tmp_path / "out.mkv"), "-q", *FFV1]) == 0
    assert len(samples(tmp_path / "out.mkv")) == 2


def test_sixteen_thousand_pixels(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 2, size=(16384, 64), pix_fmt="gray")
    line = ["upscale", str(source), str(tmp_path / "out.mkv"), "--scale", "1", "--strength", "0", "-q", *FFV1]
    assert main(line) == 0
    assert len(samples(tmp_path / "out.mkv")) == 2


def test_too_large(tmp_path: Path, fails: Run) -> None:
    source = write_film(tmp_path / "in.mkv", 2, size=(16384, 64), pix_fmt="gray")
    assert "65536" in fails(source, "--scale", "5", status=2)


@pytest.mark.parametrize("scale", ["0", "-1", "99", "nan", "inf", "abc", ""])
def test_wrong_scales(tmp_path: Path, fails: Run, scale: str) -> None:
    source = write_film(tmp_path / "in.mkv", 2)
    assert "scale" in fails(source, "--scale", scale, status=2)


def test_wrong_options(tmp_path: Path, fails: Run) -> None:
    source = write_film(tmp_path / "in.mkv", 2)
    assert "either scale or height" in fails(source, "--scale", "2", "--height", "100", status=2)
    assert "realesr" in fails(source, "--model", "realesr-general-x4v4", status=2)
    assert "no-such" in fails(source, "--model", str(tmp_path / "no-such.pth"), status=2)
    (tmp_path / "bad.pth").write_bytes(b"not weights")
    assert "bad.pth" in fails(source, "--model", str(tmp_path / "bad.pth"))
    assert "--fps is for sequences" in fails(source, "--fps", "24", status=2)
    assert "codec" in fails(source, "--codec", "cinepak9000", status=2)
    assert "out.xyz" in fails(source, output="out.xyz", status=2)
    assert "device" in fails(source, "--device", "cuda:77")
    assert "device" in fails(source, "--device", "abacus")
    assert not (tmp_path / "out.mkv.restore").exists()


def test_nowhere_to_write(tmp_path: Path, fails: Run) -> None:
    source = write_film(tmp_path / "in.mkv", 2)
    assert "no such folder" in fails(source, output="nowhere/out.mkv")
    (tmp_path / "file").write_text("a file")
    assert "no such folder" in fails(source, output="file/out.mkv")
    assert "--work-dir" in fails(source, "--work-dir", str(tmp_path / "file"))
    assert "--work-dir" in fails(source, "--work-dir", str(tmp_path / "file/job"))
    assert "--work-dir" in fails(source, "--work-dir", "/proc/job")
    (tmp_path / "folder.mkv").mkdir()
    assert "is a folder" in fails(source, output="folder.mkv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_right_to_write(tmp_path: Path, fails: Run) -> None:
    source = write_film(tmp_path / "in.mkv", 2)
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "no right" in fails(source, output="locked/out.mkv")


def test_a_proc_is_no_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_film(tmp_path / "in.mkv", 2)
    assert main(["upscale", str(source), "/proc/out.mkv", "--strength", "0", "-q"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert (
        main(["upscale", str(source), "/proc/out.mkv", "--work-dir", str(tmp_path / "w"), "--strength", "0", "-q"]) == 1
    )
    assert "internal error" not in capsys.readouterr().err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes, where it can be had."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=False).returncode
    ):
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(tmp_path: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Full from the start, it is said before rendering; filling up while it runs, the job is kept."""
    source = write_film(tmp_path / "in.mkv", 400, (100, 200, 300), size=(128, 96))
    line = ["upscale", str(source), str(small_disk / "out.mkv"), "--strength", "0", "-q", *FFV1]
    assert main(line) == 1
    said = capsys.readouterr().err
    assert "are free" in said
    assert said.count("\n") == 1
    assert not (small_disk / "out.mkv").exists()


def test_a_disk_that_fills_up(tmp_path: Path, small_disk: Path) -> None:
    """While it runs, somebody else takes the room: the job is kept, and goes on when there is room again."""
    source = write_film(tmp_path / "in.mkv", 160, (60,))
    recipe = Recipe(Recipe.of("upscale", strength=0).stages, output=OutputOptions(codec="ffv1"))
    filler = small_disk / "filler"

    def fill(progress: Progress) -> None:
        if progress.phase == "render" and not filler.exists():
            with filler.open("wb") as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))
                    file.flush()

    with pytest.raises(DiskFullError, match="no room"):
        restore.run(source, tmp_path / "out.mkv", recipe, work_dir=small_disk / "job", on_progress=fill)
    assert not (tmp_path / "out.mkv").exists()
    filler.unlink()
    restore.run(source, tmp_path / "out.mkv", recipe, work_dir=small_disk / "job")
    assert len(samples(tmp_path / "out.mkv")) == 160


def test_no_room_in_the_middle(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No file may grow beyond a limit: a segment fails as on a full disk. With room again, the job goes on."""
    source = write_film(tmp_path / "in.mkv", 240, (60, 120, 180), size=(96, 64))
    plain = ["upscale", str(source), str(tmp_path / "plain.mkv"), "--strength", "0", "-q", *FFV1]
    assert main(plain) == 0
    sizes = {(e.start, e.end): e.bytes for e in Journal(tmp_path / "plain.mkv.restore/journal.jsonl").entries.values()}
    assert len(sizes) == 4
    smallest, largest = min(sizes.values()), max(sizes.values())
    assert smallest < largest
    line = ["upscale", str(source), str(tmp_path / "out.mkv"), "--strength", "0", "-q", *FFV1]
    for limit in ((smallest + largest) // 2, largest + 1000):  # in a segment, and in the joined film
        process = os.fork()
        if not process:
            status = 1
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
                status = main(line)
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 1
        said = capfd.readouterr().err
        assert "no room" in said or "full" in said or "too large" in said
        assert said.count("\n") == 1
        assert "internal error" not in said
        assert not (tmp_path / "out.mkv").exists()
        assert not list(tmp_path.rglob("*.part"))
    done = Journal(tmp_path / "out.mkv.restore/journal.jsonl").entries
    assert len(done) == 4
    assert main(line) == 0
    assert samples(tmp_path / "out.mkv") == samples(tmp_path / "plain.mkv")


def test_in_a_shell(tmp_path: Path) -> None:
    """The command itself, once, in a fresh interpreter: a text file, and no traceback on either stream."""
    (tmp_path / "text.mp4").write_text("no film")
    done = subprocess.run(
        [sys.executable, "-m", "restore", "upscale", str(tmp_path / "text.mp4"), str(tmp_path / "out.mp4")],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert not done.stdout
    assert done.stderr.count("\n") == 1
    assert "text.mp4" in done.stderr


def test_pictures_of_two_sizes(tmp_path: Path, fails: Run) -> None:
    import cv2

    pattern = write_pictures(tmp_path / "scan", 4)
    cv2.imwrite(str(tmp_path / "scan/in_0003.png"), np.zeros((10, 10, 3), np.uint8))
    assert "in_0003.png" in fails(pattern, "--fps", "24", "--strength", "0")
    (tmp_path / "scan/in_0003.png").write_bytes(b"torn")
    line = ["upscale", str(pattern), str(tmp_path / "torn.mkv"), "--fps", "24", "--strength", "0", "-q", *FFV1]
    assert main(line) == 3
    shown = samples(tmp_path / "torn.mkv")
    assert shown[2] == shown[1]
    assert len(shown) == 4
