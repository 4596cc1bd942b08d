"""Checksums that other programs read, and what verifying finds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import av
import pytest
from films import FilmSpec, Sound, write_film

from restore.archive.fixity import make_bag, verify, write_sidecars
from restore.cli.main import main
from restore.errors import OutputExistsError, SourceNotFoundError


@pytest.fixture
def film(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return write_film(tmp_path / "kept" / "reel\n1 \\ 新.mkv", FilmSpec(codec="ffv1", frames=6, sounds=[Sound("flac")]))


def test_sidecars_are_what_others_read(film: Path) -> None:
    digest, frames = write_sidecars(film)
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--status", digest.name], cwd=film.parent, check=True)
    lines = [line for line in frames.read_text().splitlines() if not line.startswith("#")]
    assert len([line for line in lines if line.startswith("0,")]) == 6
    assert len({line.split(",")[-1] for line in lines if line.startswith("0,")}) == 6
    assert [line for line in lines if line.startswith("1,")]
    assert not list(film.parent.glob("*.part"))


def test_verifying_finds_what_changed(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sidecars(film)
    assert {found.verdict for found in verify(film.parent, frames=True)} == {"same"}
    assert main(["verify-fixity", str(film.parent)]) == 0
    data = bytearray(film.read_bytes())
    data[-200] ^= 1
    film.write_bytes(data)
    assert [found.verdict for found in verify(film.parent)] == ["changed"]
    film.unlink()
    assert main(["verify-fixity", str(film.parent), "--frames"]) == 1
    said = capsys.readouterr().err
    assert "missing" in said
    assert "0 files are the same, 2 are not" in said


def test_frames_are_the_same_in_another_container(film: Path) -> None:
    _, sums = write_sidecars(film)
    other = film.with_name("reel.nut")
    with av.open(str(film)) as source, av.open(str(other), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    _, again = write_sidecars(other)

    def hashes(path: Path) -> list[str]:
        return [line.split(",")[-1] for line in path.read_text().splitlines() if line.startswith("0,")]

    assert hashes(sums) == hashes(again)


def test_a_bag_is_valid_and_whole(film: Path, tmp_path: Path) -> None:
    write_sidecars(film)
    (film.parent / "job.mkv.restore").mkdir()
    (film.parent / "job.mkv.restore" / "job.json").write_text("{}")
    bag = make_bag(film.parent, tmp_path / "bag")
    names = {path.name for path in (bag / "data").iterdir()}
    assert names == {film.name, film.name + ".sha256", film.name + ".framemd5"}
    assert (bag / "bagit.txt").read_text() == "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    size = sum(path.stat().st_size for path in (bag / "data").iterdir())
    assert f"Payload-Oxum: {size}.3" in (bag / "bag-info.txt").read_text()
    assert [found.verdict for found in verify(bag)].count("same") == 1 + 3 + 3
    (bag / "data" / film.name).write_bytes(b"other")
    assert [found.verdict for found in verify(bag)].count("changed") == 2
    with pytest.raises(OutputExistsError):
        make_bag(film.parent, bag)


def test_nothing_to_check_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="to check by"):
        list(verify(tmp_path))
    with pytest.raises(SourceNotFoundError, match="no such folder"):
        list(verify(tmp_path / "none"))


def test_masters_are_made_to_be_checked(film: Path, tmp_path: Path) -> None:
    """FFV1 version 3, a checksum a slice, every frame a key frame."""
    out = tmp_path / "master.mkv"
    assert main(["deflicker", str(film), str(out), "--master", "--quiet", "--no-report"]) == 0
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        extra = stream.codec_context.extradata
        assert stream.codec_context.name == "ffv1"
        assert extra, "version 3 keeps its header apart"
        assert all(packet.is_keyframe for packet in container.demux(stream) if packet.size)
