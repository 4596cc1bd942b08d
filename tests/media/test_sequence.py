"""Image sequences: which files belong, in which order, at which rate, and what happens to the broken ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from restore.errors import FormatError, OptionError, OutputError, SourceError, SourceNotFoundError
from restore.frames import Frame, PixelFormat, VideoFormat
from restore.media.picture_files import SRGB, SRGB_GRAY
from restore.media.pictures import PictureMetadata, output_format, read_picture, write_picture
from restore.media.sequence import NumberedNames, SequenceSink, SequenceSource, is_sequence, list_sequence

GRAY = PixelFormat("gray", 8)


def write_numbers(folder: Path, numbers: list[int], name: str = "scan_%04d.png") -> None:
    """Pictures of 4 x 3 whose samples are their number."""
    for number in numbers:
        write_picture(folder / (name % number), (np.full((3, 4), number % 256, np.uint8),), GRAY, SRGB_GRAY)


def values(source: SequenceSource, start: int | None = None) -> list[tuple[int, int, bool]]:
    return [(f.pts, int(f.planes[0][0, 0]), f.corrupt) for f in source.frames(start)]


# --- names ------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**9), st.integers(1, 8), st.sampled_from(["scan_", "100%_", "", "a.b-"]))
def test_patterns_name_and_recognise_their_numbers(number: int, digits: int, before: str) -> None:
    for field in (f"%0{digits}d", "#" * digits) if "%" not in before else (f"%0{digits}d",):
        names = NumberedNames.parse(f"reel/{before.replace('%', '%%')}{field}.tif")
        assert names.name(number) == f"{before}{number:0{digits}d}.tif"
        assert names.number(names.name(number)) == number
        assert names.path(number).parent == Path("reel")
        assert names.number("other.tif") is None
        assert names.number(f"{before}0{number:0{digits}d}.tif") is None
        assert NumberedNames.parse(str(names)) == names


@pytest.mark.parametrize("name", ["scan.png", "scan_%d_%d.png", "scan_%s.png", "scan_%5d.png", "##_##.png", "%"])
def test_what_is_no_pattern_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="number field"):
        NumberedNames.parse(name)


def test_is_sequence(tmp_path: Path) -> None:
    assert is_sequence(tmp_path)
    assert is_sequence("scan_%06d.dpx")
    assert is_sequence("scan_####.exr")
    assert is_sequence("scan_*.tif")
    assert not is_sequence("scan_000001.dpx")
    assert not is_sequence("film_%06d.mp4")
    (tmp_path / "odd_%d.png").write_bytes(b"x")
    assert not is_sequence(tmp_path / "odd_%d.png")  # a file that is really called so


def test_all_ways_to_name_a_sequence_agree(tmp_path: Path) -> None:
    write_numbers(tmp_path, [98, 99, 100, 101])
    (tmp_path / "notes.txt").write_text("wet gate")
    (tmp_path / ".hidden_0001.png").write_bytes(b"")
    for name in ("scan_%04d.png", "scan_####.png", "scan_*.png", "*.png", ""):
        files = list_sequence(tmp_path / name)
        assert files.numbers == (98, 99, 100, 101)
        assert files.numbered == NumberedNames(tmp_path, "scan_", ".png", 4)
        assert files.names[0] == "scan_0098.png"


def test_numbers_without_zeros_are_in_order_of_number(tmp_path: Path) -> None:
    write_numbers(tmp_path, list(range(8, 12)), "take2_%d.png")
    for name in ("", "take2_%d.png", "take2_*.png"):
        files = list_sequence(tmp_path / name)
        assert files.numbers == (8, 9, 10, 11)
        assert files.names[-1] == "take2_11.png"


def test_names_without_numbers_are_taken_in_natural_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "title.png"):
        write_picture(tmp_path / name, (np.zeros((3, 4), np.uint8),), GRAY, SRGB_GRAY)
    files = list_sequence(tmp_path)
    assert files.names == ("a.png", "b.png", "title.png")
    assert files.numbers == (1, 2, 3)
    assert files.numbered is None


def test_a_folder_with_two_sequences_or_two_kinds_is_refused(tmp_path: Path) -> None:
    write_numbers(tmp_path, [1, 2, 3], "left_%d.png")
    write_numbers(tmp_path, [1, 2, 3], "right_%d.png")
    with pytest.raises(SourceError, match="several sequences"):
        list_sequence(tmp_path)
    assert len(list_sequence(tmp_path / "left_*.png").names) == 3
    other = tmp_path / "mixed"
    other.mkdir()
    write_numbers(other, [1, 2, 3])
    write_numbers(other, [4], "scan_%04d.tif")
    with pytest.raises(SourceError, match=r"scan_0004\.tif is not \.png"):
        list_sequence(other)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no pictures"):
        SequenceSource(tmp_path, Fraction(24))
    with pytest.raises(SourceNotFoundError, match="no file of that pattern"):
        SequenceSource(tmp_path / "scan_%04d.png", Fraction(24))
    with pytest.raises(SourceNotFoundError, match="no file matches"):
        SequenceSource(tmp_path / "*.png", Fraction(24))
    with pytest.raises(SourceNotFoundError, match="no such folder"):
        SequenceSource(tmp_path / "none" / "scan_%04d.png", Fraction(24))
    with pytest.raises(SourceError, match="not a kind of picture"):
        SequenceSource(tmp_path / "scan_%04d.gif", Fraction(24))


def test_a_long_scan_is_listed_in_a_moment(tmp_path: Path) -> None:
    for number in range(20_000):
        os.close(os.open(tmp_path / f"scan_{number:06d}.dpx", os.O_CREAT | os.O_WRONLY))
    start = time.process_time()
    files = list_sequence(tmp_path / "scan_%06d.dpx")
    again = list_sequence(tmp_path)
    assert time.process_time() - start < 2  # about a fifth of a second
    assert files == again
    assert len(files.names) == 20_000


def test_names_need_no_torch() -> None:
    script = "import sys, restore.media.sequence_files, restore.media.picture_formats; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


# --- the source -------------------------------------------------------------------------------------------


def test_frames_in_order_with_exact_times(tmp_path: Path) -> None:
    write_numbers(tmp_path, list(range(86400, 86400 + 20)), "scan_%06d.png")
    with SequenceSource(tmp_path / "scan_%06d.png", Fraction(24000, 1001)) as source:
        assert source.format.frame_rate == Fraction(24000, 1001)
        assert source.format.time_base == Fraction(1001, 24000)
        assert (source.format.width, source.format.height, source.format.pixel) == (4, 3, GRAY)
        assert source.start_number == 86400
        assert len(source) == 20
        assert values(source) == [(i, (86400 + i) % 256, False) for i in range(20)]
        assert values(source, 17) == values(source)[17:]
        assert values(source, 20) == []
        names = [entry[0] for entry in source.identity()]
        assert names == [f"scan_{n:06d}.png" for n in range(86400, 86420)]


def test_leaving_early_leaves_no_threads(tmp_path: Path) -> None:
    import threading

    write_numbers(tmp_path, list(range(30)))
    source = SequenceSource(tmp_path, Fraction(24))
    frames = source.frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("restore-picture")]


def test_the_frame_rate_must_be_known(tmp_path: Path) -> None:
    write_numbers(tmp_path, [1, 2])
    with pytest.raises(OptionError, match="frame rate"):
        SequenceSource(tmp_path)
    with pytest.raises(OptionError, match="above 0"):
        SequenceSource(tmp_path, Fraction(-1))


@pytest.mark.parametrize("suffix", [".dpx", ".exr"])
def test_headers_know_their_frame_rate(tmp_path: Path, suffix: str) -> None:
    pixel, color = output_format(f"a{suffix}", PixelFormat("rgb", 10), SRGB)
    for number in (5, 6):
        planes = tuple(np.zeros((4, 4), pixel.dtype) for _ in range(3))
        metadata = PictureMetadata(frame_rate=Fraction(18), timecode="00:10:00:05")
        write_picture(tmp_path / f"scan_{number:05d}{suffix}", planes, pixel, color, metadata)
    assert SequenceSource(tmp_path).format.frame_rate == 18
    assert SequenceSource(tmp_path).metadata.timecode == "00:10:00:05"
    assert SequenceSource(tmp_path, Fraction(16)).format.frame_rate == 16


def test_gaps_are_named_or_held(tmp_path: Path) -> None:
    write_numbers(tmp_path, [10, 11, 13, 17])
    with pytest.raises(SourceError, match=r"missing 12, 14-16 \(4 in all\)"):
        SequenceSource(tmp_path / "scan_%04d.png", Fraction(24))
    source = SequenceSource(tmp_path / "scan_%04d.png", Fraction(24), hold=True)
    assert len(source) == 8
    expected = [10, 11, 11, 13, 13, 13, 13, 17]
    assert values(source) == [(i, v, False) for i, v in enumerate(expected)]
    for start in range(8):  # the same frames wherever one starts
        assert values(source, start) == values(source)[start:]


def test_a_corrupt_picture_repeats_the_one_before(tmp_path: Path) -> None:
    write_numbers(tmp_path, list(range(1, 8)))
    for number in (3, 4, 7):
        path = tmp_path / f"scan_{number:04d}.png"
        path.write_bytes(path.read_bytes()[:60] if number != 7 else b"")
    source = SequenceSource(tmp_path, Fraction(24))
    expected = [(0, 1, False), (1, 2, False), (2, 2, True), (3, 2, True), (4, 5, False), (5, 6, False), (6, 6, True)]
    assert values(source) == expected
    for start in range(7):
        assert values(source, start) == expected[start:]


def test_a_corrupt_first_picture_is_an_error(tmp_path: Path) -> None:
    write_numbers(tmp_path, [1, 2])
    (tmp_path / "scan_0001.png").write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"scan_0001\.png"):
        SequenceSource(tmp_path, Fraction(24))


def test_the_first_odd_picture_is_named(tmp_path: Path) -> None:
    write_numbers(tmp_path, [1, 2, 3, 4, 5])
    Image.new("L", (5, 3)).save(tmp_path / "scan_0003.png")
    Image.new("RGB", (4, 3)).save(tmp_path / "scan_0005.png")
    source = SequenceSource(tmp_path, Fraction(24))
    with pytest.raises(SourceError, match=r"scan_0003\.png: is 5x3 gray, the sequence 4x3 gray"):
        list(source.frames())
    Image.new("L", (4, 3)).save(tmp_path / "scan_0003.png")
    with pytest.raises(SourceError, match=r"scan_0005\.png: is 4x3 gbrp"):
        list(source.frames())


def test_a_file_that_disappears_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    write_numbers(tmp_path, [1, 2, 3])
    source = SequenceSource(tmp_path, Fraction(24))
    (tmp_path / "scan_0002.png").unlink()
    with pytest.raises(SourceNotFoundError):
        list(source.frames())


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in (1, 2):
        Image.new("RGB", (6, 4)).save(tmp_path / f"p{number}.jpg", exif=exif, subsampling=1)
    source = SequenceSource(tmp_path, Fraction(12))
    assert (source.format.width, source.format.height) == (4, 6)
    assert source.format.pixel.chroma_shift == (0, 1)
    assert source.metadata.orientation == 1
    assert next(source.frames()).planes[1].shape == (3, 4)


# --- the sink ---------------------------------------------------------------------------------------------


def video_format(pixel: PixelFormat, rate: Fraction = Fraction(24)) -> VideoFormat:
    color = SRGB if pixel.model == "rgb" else SRGB_GRAY
    return VideoFormat(8, 6, pixel, color, 1 / rate, rate)


@pytest.mark.parametrize(("suffix", "name"), [(".png", "gbrp16le"), (".dpx", "gbrp10le"), (".tif", "gray16le")])
def test_what_a_sink_writes_a_source_reads(tmp_path: Path, suffix: str, name: str) -> None:
    pixel = PixelFormat.parse(name)
    rng = np.random.default_rng(0)
    frames = [
        Frame(i, tuple(rng.integers(0, 2**pixel.depth, (6, 8)).astype(pixel.dtype) for _ in range(pixel.plane_count)))
        for i in range(5)
    ]
    with SequenceSink(tmp_path / f"out_%05d{suffix}", video_format(pixel), start_number=86400) as sink:
        for index in (3, 0, 4, 1, 2):  # any order
            assert sink.write(index, frames[index]) == sink.path_for(index)
    assert sink.path_for(0).name == f"out_86400{suffix}"
    source = SequenceSource(tmp_path / f"out_%05d{suffix}", Fraction(24))
    assert source.start_number == 86400
    for frame, back in zip(frames, source.frames(), strict=True):
        for a, b in zip(frame.planes, back.planes, strict=True):
            np.testing.assert_array_equal(a, b)


def test_timecode_counts_on(tmp_path: Path) -> None:
    pixel = PixelFormat("rgb", 10)
    metadata = PictureMetadata(timecode="01:00:59:23", frame_position=40)
    sink = SequenceSink(tmp_path / "o_%d.dpx", video_format(pixel), metadata=metadata)
    for index in range(3):
        sink.write(index, Frame(index, tuple(np.zeros((6, 8), np.uint16) for _ in range(3))))
    codes = [read_picture(sink.path_for(i)).metadata.timecode for i in range(3)]
    assert codes == ["01:00:59:23", "01:01:00:00", "01:01:00:01"]
    last = read_picture(sink.path_for(2)).metadata
    assert (last.frame_rate, last.frame_position) == (24, 42)


def test_a_sink_refuses_before_it_writes(tmp_path: Path) -> None:
    rgb = video_format(PixelFormat("rgb", 8))
    with pytest.raises(OptionError, match="number field"):
        SequenceSink(tmp_path / "out.png", rgb)
    with pytest.raises(OutputError, match="no such folder"):
        SequenceSink(tmp_path / "none" / "out_%d.png", rgb)
    with pytest.raises(FormatError, match=r"JPEG has no alpha"):
        SequenceSink(tmp_path / "out_%d.jpg", video_format(PixelFormat("rgb", 8, alpha=True)))
    with pytest.raises(FormatError, match="too large"):
        SequenceSink(tmp_path / "out_%d.webp", replace(rgb, width=20000))
    with pytest.raises(FormatError, match="frame 0 is not 8x6"):
        SequenceSink(tmp_path / "out_%d.png", rgb).write(
            0, Frame(0, tuple(np.zeros((5, 8), np.uint8) for _ in range(3)))
        )
    assert not list(tmp_path.iterdir())
