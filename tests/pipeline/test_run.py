"""Whole jobs on tiny films: what goes in comes out, in any grouping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from material.films import arrays, decoded, samples, write_film, write_pictures

import restore
from restore.errors import OptionError, OutputExistsError, SourceError
from restore.media.options import InputOptions, OutputOptions
from restore.pipeline import segments as segments_module
from restore.recipe import Recipe

FFV1 = OutputOptions(codec="ffv1")


def plain(**options: object) -> Recipe:
    """A resample, losslessly encoded."""
    return Recipe(Recipe.of("upscale", strength=0, **options).stages, output=FFV1)


PLAIN = plain()
PICTURES = Recipe.of("upscale", strength=0, model="reel-x2")
Keys = Callable[[Path], dict[tuple[int, int], str]]


def chain(*names: str) -> Recipe:
    from restore.stages import parse_options

    return Recipe(tuple((name, parse_options(name, {})) for name in names), output=FFV1)


def test_frames_in_are_frames_out(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 70, cuts=(20, 55), audio=True)
    result = restore.run(source, tmp_path / "out.mkv", PLAIN)
    before, after = decoded(source), decoded(tmp_path / "out.mkv")
    assert result.frames == result.rendered == 70
    assert [time for time, _ in after] == [time for time, _ in before]
    assert arrays(tmp_path / "out.mkv", "rgb24")[0].shape == (96, 128, 3)


def test_again_does_nothing(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 20)
    restore.run(source, tmp_path / "out.mkv", PLAIN)
    stamp = (tmp_path / "out.mkv").stat().st_mtime_ns
    again = restore.run(source, tmp_path / "out.mkv", PLAIN)
    assert again.unchanged
    assert not again.rendered
    assert (tmp_path / "out.mkv").stat().st_mtime_ns == stamp


@pytest.mark.usefixtures("known_stages")
@pytest.mark.parametrize("names", [("average",), ("luma-average", "average"), ("patch", "average", "upscale")])
def test_batch_and_segments_change_no_pixel(
    tmp_path: Path, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tiny_network: Path
) -> None:
    source = write_film(tmp_path / "in.mkv", 64, cuts=(11, 12, 40))
    recipe = chain(*names)
    if "upscale" in names:
        recipe = chain(*names[:-1]).with_stages(Recipe.of("upscale", model=str(tiny_network)).stages)
    restore.run(source, tmp_path / "one.mkv", recipe, batch=1)
    restore.run(source, tmp_path / "four.mkv", recipe, batch=4)
    # bound at definition, so the defaults are replaced, not the names
    monkeypatch.setattr(segments_module.cut_segments, "__defaults__", (5, 9))
    restore.run(source, tmp_path / "many.mkv", recipe)
    assert len(list((tmp_path / "many.mkv.restore/segments").iterdir())) > 6
    reference = decoded(tmp_path / "one.mkv")
    assert decoded(tmp_path / "four.mkv") == reference
    assert decoded(tmp_path / "many.mkv") == reference


@pytest.mark.usefixtures("known_stages")
def test_a_cut_leaks_nothing(tmp_path: Path) -> None:
    """What stands before a cut has no say in what comes after it, and the other way round."""
    long = write_film(tmp_path / "long.mkv", 40, cuts=(17,))
    restore.run(long, tmp_path / "long_out.mkv", chain("average", "luma-average"))
    whole = samples(tmp_path / "long_out.mkv")
    restore.run(long, tmp_path / "a.mkv", chain("average", "luma-average"), end="17f")
    assert samples(tmp_path / "a.mkv") == whole[:17]
    alone = write_film(tmp_path / "alone.mkv", 17)  # the first shot and nothing else
    restore.run(alone, tmp_path / "alone_out.mkv", chain("average", "luma-average"))
    assert samples(tmp_path / "alone_out.mkv") == whole[:17]


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        ("10f", "25f", (10, 25)),
        ("0.4", "1", (10, 25)),
        (0.4, None, (10, 60)),
        (None, "00:00:01:05", (0, 30)),
        ("0:00.39", "0:01.01", (10, 25)),
        ("59f", None, (59, 60)),
    ],
)
@pytest.mark.usefixtures("known_stages")
def test_a_part_is_the_same_as_in_the_whole(
    tmp_path: Path, start: str | None, end: str | None, frames: tuple[int, int]
) -> None:
    source = write_film(tmp_path / "in.mkv", 60, cuts=(14,), audio=True)
    recipe = chain("stretch", "average")
    restore.run(source, tmp_path / "whole.mkv", recipe)
    result = restore.run(source, tmp_path / "part.mkv", recipe, start=start, end=end)
    first, stop = frames
    part = decoded(tmp_path / "part.mkv")
    assert result.frames == stop - first
    assert [data for _, data in part] == samples(tmp_path / "whole.mkv")[first:stop]
    # Matroska knows no time before zero: a packet of sound begun before the first picture moves both together.
    assert 0 <= part[0][0] < 0.03


def test_frames_count_as_frames_whatever_the_clock(tmp_path: Path) -> None:
    """23.976 in milliseconds: the ticks are uneven, and `2004f` is still the frame of that number."""
    source = write_film(tmp_path / "in.mkv", 150, rate=Fraction(24000, 1001))
    result = restore.run(source, tmp_path / "out.mkv", PLAIN, start="140f", end="145f")
    assert result.frames == 5
    whole = arrays(source, "gray")
    assert len({picture.tobytes() for picture in whole[:5]}) == 5
    result = restore.run(source, tmp_path / "code.mkv", PLAIN, start="00:00:05:20", end="00:00:06:00")
    assert result.frames == 4


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("99", None, "behind the end of the film (1.200 s)"),
        ("1", "0.5", "--end 0.5 is not after --start 1"),
        ("soon", None, "is not a time"),
        ("00:00:00:30", None, "not a timecode at 25"),
        ("00:00:01;00", None, "drop-frame"),
        (None, "0", "not after"),
    ],
)
def test_times_that_cannot_be(tmp_path: Path, start: str | None, end: str | None, words: str) -> None:
    source = write_film(tmp_path / "in.mkv", 30)
    with pytest.raises(OptionError) as raised:
        restore.run(source, tmp_path / "out.mkv", PLAIN, start=start, end=end)
    assert words in str(raised.value)
    assert not (tmp_path / "out.mkv").exists()


def test_a_part_keeps_the_segments_of_the_whole(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 120, cuts=(50,))
    restore.run(source, tmp_path / "out.mkv", PLAIN)
    restore.run(source, tmp_path / "out.mkv", PLAIN, start="5f", end="9f")
    again = restore.run(source, tmp_path / "out.mkv", PLAIN)
    assert again.rendered == 0
    assert len(samples(tmp_path / "out.mkv")) == 120


def test_what_was_there_is_not_replaced(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 12)
    other = tmp_path / "out.mkv"
    other.write_bytes(b"precious")
    with pytest.raises(OutputExistsError):
        restore.run(source, other, PLAIN)
    assert other.read_bytes() == b"precious"
    restore.run(source, other, PLAIN, overwrite=True)
    assert len(samples(other)) == 12
    # Touched by somebody since: no longer this job's own.
    other.write_bytes(b"graded by hand")
    with pytest.raises(OutputExistsError):
        restore.run(source, other, plain(scale=1.5))
    assert other.read_bytes() == b"graded by hand"


def test_another_source_does_not_take_over_a_job(tmp_path: Path) -> None:
    one, two = write_film(tmp_path / "1.mkv", 12), write_film(tmp_path / "2.mkv", 15)
    restore.run(one, tmp_path / "out.mkv", PLAIN)
    with pytest.raises(OutputExistsError, match="another source"):
        restore.run(two, tmp_path / "out.mkv", PLAIN)
    with pytest.raises(OutputExistsError, match="another source"):
        restore.shots(two, work_dir=tmp_path / "out.mkv.restore")
    result = restore.run(two, tmp_path / "out.mkv", PLAIN, overwrite=True)
    assert result.frames == 15


@pytest.mark.parametrize("link", ["itself", "symlink", "hardlink", "part"])
def test_the_source_is_never_written(tmp_path: Path, link: str) -> None:
    source = write_film(tmp_path / "in.mkv", 12)
    output = tmp_path / "other.mkv"
    if link == "itself":
        output = source
    elif link == "symlink":
        output.symlink_to(source)
    elif link == "hardlink":
        output.hardlink_to(source)
    else:
        source = source.rename(tmp_path / "other.mkv.part")
    content = source.read_bytes()
    with pytest.raises(OutputExistsError, match="never written"):
        restore.run(source, output, PLAIN, overwrite=True)
    assert source.read_bytes() == content


def test_a_sequence_does_not_overwrite_itself(tmp_path: Path) -> None:
    pattern = write_pictures(tmp_path / "scan", 4)
    first = (tmp_path / "scan/in_0001.png").read_bytes()
    recipe = Recipe.from_dict({"input": {"fps": "24"}, "stage": [{"name": "upscale", "strength": 0}]})
    for source in (pattern, tmp_path / "scan", tmp_path / "scan/in_*.png"):
        with pytest.raises(OutputExistsError, match="never written"):
            restore.run(source, pattern, recipe, overwrite=True)
    assert (tmp_path / "scan/in_0001.png").read_bytes() == first


@pytest.mark.usefixtures("known_stages")
def test_masks_and_planes_leave_the_rest_untouched(tmp_path: Path) -> None:
    """Bit-exactly, before a lossy encoder: 4:2:0 in, 4:2:0 out, no conversion in between."""
    source = write_film(tmp_path / "in.mkv", 10)
    planes = [np.split(np.frombuffer(data, np.uint8), [64 * 48, 64 * 48 * 5 // 4]) for data in samples(source)]
    for name in ("patch", "luma-patch"):
        restore.run(source, tmp_path / f"{name}.mkv", chain(name))
        for before, after in zip(planes, samples(tmp_path / f"{name}.mkv"), strict=True):
            luma, cb, cr = np.split(np.frombuffer(after, np.uint8), [64 * 48, 64 * 48 * 5 // 4])
            changed = (luma != before[0]).reshape(48, 64)
            assert changed[8:20, 8:24].mean() > 0.9
            changed[8:20, 8:24] = False
            assert not changed.any()
            moved = (cb != before[1]).reshape(24, 32)
            moved[4:10, 4:12] = False
            assert not moved.any()
            if name == "luma-patch":
                assert np.array_equal(cb, before[1])
                assert np.array_equal(cr, before[2])
    restore.run(source, tmp_path / "mute.mkv", chain("mute"))
    for before, after in zip(planes, samples(tmp_path / "mute.mkv"), strict=True):
        luma, cb, _ = np.split(np.frombuffer(after, np.uint8), [64 * 48, 64 * 48 * 5 // 4])
        assert np.array_equal(luma, before[0])
        assert np.array_equal(cb, np.round((before[1].astype(float) - 128) / 2 + 128))


@pytest.mark.usefixtures("known_stages")
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "gray", "bgr0", "gray16le"])
def test_nothing_done_changes_nothing(tmp_path: Path, pix_fmt: str) -> None:
    """Stages at amount 0 in every domain, one after another, give the source's own samples."""
    source = write_film(tmp_path / "in.mkv", 6, pix_fmt=pix_fmt)
    names = ("luma-average", "mute") if pix_fmt.startswith("yuv") else ("luma-average", "average")
    recipe = Recipe.from_dict({"output": {"codec": "ffv1"}, "stage": [{"name": name, "amount": 0} for name in names]})
    restore.run(source, tmp_path / "out.mkv", recipe)
    assert samples(tmp_path / "out.mkv") == samples(source)


def test_picture_to_picture(tmp_path: Path) -> None:
    pattern = write_pictures(tmp_path, 1)
    photo = Path(str(pattern).replace("%04d", "0001"))
    result = restore.run(photo, tmp_path / "big.png", PICTURES)
    assert result.frames == 1
    assert restore.run(photo, tmp_path / "big.png", PICTURES).unchanged
    import cv2

    assert cv2.imread(str(tmp_path / "big.png")).shape == (96, 128, 3)
    (tmp_path / "big.png").write_bytes(b"retouched")
    with pytest.raises(OutputExistsError):
        restore.run(photo, tmp_path / "big.png", Recipe.of("upscale", strength=0, scale=1))


def test_film_to_sequence_and_back(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", 12, pix_fmt="bgr0")
    (tmp_path / "out").mkdir()
    keep = Recipe.of("upscale", strength=0, scale=1)
    restore.run(source, tmp_path / "out/p_%04d.png", keep)
    assert [p.name for p in sorted((tmp_path / "out").glob("p_????.png"))] == [f"p_{n:04d}.png" for n in range(1, 13)]
    back = Recipe.from_dict(
        {"output": {"codec": "ffv1"}, "input": {"fps": "25"}, "stage": [{"name": "upscale", "strength": 0, "scale": 1}]}
    )
    restore.run(tmp_path / "out/p_%04d.png", tmp_path / "back.mkv", back)
    assert samples(tmp_path / "back.mkv") == samples(source)


def test_sequence_with_sound_and_a_gap(tmp_path: Path) -> None:
    import av

    pattern = write_pictures(tmp_path / "scan", 10)
    (tmp_path / "scan/in_0004.png").unlink()
    track = write_film(tmp_path / "track.mkv", 10, audio=True)
    given = {"fps": "25", "audio": str(track)}
    with pytest.raises(SourceError, match="missing 4"):
        restore.run(pattern, tmp_path / "out.mkv", replace(PLAIN, input=InputOptions(**given)))
    result = restore.run(pattern, tmp_path / "out.mkv", replace(PLAIN, input=InputOptions(**given, hold=True)))
    assert result.frames == 10
    shown = samples(tmp_path / "out.mkv")
    assert shown[3] == shown[2] != shown[4]
    with av.open(str(tmp_path / "out.mkv")) as container, av.open(str(track)) as sound:
        ours = [bytes(packet) for packet in container.demux(audio=0)]
        assert ours == [bytes(packet) for packet in sound.demux(audio=0)]


def test_a_sequence_can_be_given_another_rate(tmp_path: Path) -> None:
    pattern = write_pictures(tmp_path / "scan", 6)
    for rate in ("25", "12"):
        recipe = replace(PLAIN, input=InputOptions(fps=rate))
        restore.run(pattern, tmp_path / "out.mkv", recipe)
        times = [time for time, _ in decoded(tmp_path / "out.mkv")]
        assert times[-1] == pytest.approx(5 / int(rate), abs=0.001)


def test_a_sequence_edited_and_edited_back(tmp_path: Path) -> None:
    """Pictures lie at their final names: what was rendered first is gone when something else was rendered over it."""
    source = write_film(tmp_path / "in.mkv", 8)
    (tmp_path / "out").mkdir()
    output = tmp_path / "out/p_%04d.png"
    first = Recipe.of("upscale", strength=0, scale=1)
    restore.run(source, output, first)
    content = (tmp_path / "out/p_0003.png").read_bytes()
    restore.run(source, output, Recipe.of("upscale", strength=0, scale=2))
    assert (tmp_path / "out/p_0003.png").read_bytes() != content
    result = restore.run(source, output, first)
    assert result.rendered == 8
    assert (tmp_path / "out/p_0003.png").read_bytes() == content
    assert restore.run(source, output, first, start="2f").rendered == 6
    assert restore.run(source, output, first).rendered == 8
