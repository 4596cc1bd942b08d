"""Fields to frames: telecined film comes back exactly, interlaced video is interpolated, progressive is untouched."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import restore
from restore.errors import OptionError
from restore.media.options import OutputOptions
from restore.recipe import Recipe

WIDTH, HEIGHT = 96, 64


def scene(seed: int, count: int, step: float = 3.0) -> list[np.ndarray]:
    """A textured picture moving by so many pixels a frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(30, 220, (HEIGHT // 8, 64))
    wide = np.kron(coarse, np.ones((8, 8)))
    for _ in range(3):
        wide = (wide + np.roll(wide, 1, 0) + np.roll(wide, 1, 1) + np.roll(wide, -1, 1)) / 4
    return [np.roll(wide, -round(n * step), 1)[:, :WIDTH].astype(np.uint8) for n in range(count)]


def woven(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    frame = top.copy()
    frame[1::2] = bottom[1::2]
    return frame


def telecined(film: Sequence[np.ndarray], top_first: bool) -> list[np.ndarray]:
    """Hard 2:3: A B C D to AA BB BC CD DD (top/bottom)."""
    frames = []
    for a, b, c, d in zip(film[0::4], film[1::4], film[2::4], film[3::4], strict=False):
        for first, second in ((a, a), (b, b), (b, c), (c, d), (d, d)):
            frames.append(woven(first, second) if top_first else woven(second, first))
    return frames


def interlaced(fields: Sequence[np.ndarray], top_first: bool) -> list[np.ndarray]:
    """Every frame of two pictures that follow each other in time."""
    return [
        woven(first, second) if top_first else woven(second, first)
        for first, second in zip(fields[0::2], fields[1::2], strict=False)
    ]


def write(path: Path, frames: Sequence[np.ndarray], rate: Fraction) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray"
        stream.time_base = 1 / rate
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[list[np.ndarray], list[Fraction]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [f.to_ndarray(format="gray") for f in frames], [f.pts * f.time_base for f in frames]


def deinterlace(source: Path, output: Path, **options: object) -> tuple[list[np.ndarray], list[Fraction], str]:
    recipe = Recipe(Recipe.of("deinterlace", **options).stages, output=OutputOptions(codec="ffv1"))
    result = restore.run(source, output, recipe)
    return (*read(output), " ".join(result.notes))


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("phase", [0, 1, 3])
def test_telecined_film_comes_back(tmp_path: Path, top_first: bool, phase: int) -> None:
    film = scene(1, 64)
    source = write(tmp_path / "ntsc.mkv", telecined(film, top_first)[phase:], Fraction(30000, 1001))
    frames, times, note = deinterlace(source, tmp_path / "film.mkv")
    assert "telecine" in note, note
    expected = {picture.tobytes() for picture in film}
    assert [frame.tobytes() in expected for frame in frames[1:-1]] == [True] * (len(frames) - 2)
    middle = [frame.tobytes() for frame in frames[2:-2]]
    places = [next(n for n, picture in enumerate(film) if picture.tobytes() == frame) for frame in middle]
    assert places == list(range(places[0], places[0] + len(places)))
    steps = {round(float(b - a), 4) for a, b in zip(times[6:-6], times[7:-5], strict=True)}
    assert max(abs(step - 1001 / 24000) for step in steps) < 0.0011


@pytest.mark.parametrize("top_first", [True, False])
def test_interlaced_video_is_interpolated(tmp_path: Path, top_first: bool) -> None:
    fields = scene(2, 48, step=1.5)
    source = write(tmp_path / "video.mkv", interlaced(fields, top_first), Fraction(25))
    frames, times, note = deinterlace(source, tmp_path / "frames.mkv", rate="field")
    assert "interlaced" in note, note
    assert len(frames) == 48
    assert ("top" if top_first else "bottom") in note
    errors = [np.abs(frame.astype(int) - truth.astype(int)).mean() for frame, truth in zip(frames, fields, strict=True)]
    woven_error = np.abs(woven(fields[20], fields[21]).astype(int) - fields[20].astype(int)).mean()
    assert max(errors[2:-2]) < 0.35 * woven_error
    for n, (frame, truth) in enumerate(zip(frames, fields, strict=True)):
        kept = 0 if (n % 2 == 0) == top_first else 1
        assert (frame[kept::2] == truth[kept::2]).all()
    assert times[1] - times[0] == Fraction(1, 50)


def test_one_frame_for_each(tmp_path: Path) -> None:
    fields = scene(3, 40, step=1.5)
    source = write(tmp_path / "video.mkv", interlaced(fields, True), Fraction(25))
    frames, times, _ = deinterlace(source, tmp_path / "frames.mkv")
    assert len(frames) == 20
    assert times[1] - times[0] == Fraction(1, 25)


def test_progressive_film_is_left_alone(tmp_path: Path) -> None:
    film = scene(4, 30)
    source = write(tmp_path / "film.mkv", film, Fraction(24))
    frames, _, note = deinterlace(source, tmp_path / "out.mkv")
    assert "progressive" in note
    assert [frame.tobytes() for frame in frames] == [picture.tobytes() for picture in film]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("mode", ["auto", "deinterlace", "telecine"])
def test_the_shortest_films(tmp_path: Path, count: int, mode: str) -> None:
    source = write(tmp_path / "short.mkv", interlaced(scene(5, 2 * count), True), Fraction(25))
    frames, times, _ = deinterlace(source, tmp_path / "out.mkv", mode=mode)
    assert len(frames) == count
    assert times == sorted(set(times))


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_frames(tmp_path: Path, level: int) -> None:
    source = write(tmp_path / "flat.mkv", [np.full((HEIGHT, WIDTH), level, np.uint8)] * 12, Fraction(25))
    frames, _, note = deinterlace(source, tmp_path / "out.mkv")
    assert len(frames) == 12
    assert "progressive" in note


def test_mixed_film_and_video(tmp_path: Path) -> None:
    film, fields = scene(6, 48), [picture // 4 for picture in scene(7, 60, step=1.5)]
    frames = telecined(film, True) + interlaced(fields, True)
    source = write(tmp_path / "mixed.mkv", frames, Fraction(30000, 1001))
    out, times, note = deinterlace(source, tmp_path / "out.mkv")
    assert "telecine" in note
    assert "interlaced" in note
    assert abs(len(out) - (48 + 30)) <= 1
    assert all(b > a for a, b in zip(times, times[1:], strict=False))


def test_stages_behind_it_see_the_new_film(tmp_path: Path) -> None:
    source = write(tmp_path / "ntsc.mkv", telecined(scene(8, 64), True), Fraction(30000, 1001))
    first = Recipe.of("deinterlace").stages
    recipe = Recipe((*first, *Recipe.of("upscale", scale=2, strength=0).stages), output=OutputOptions(codec="ffv1"))
    whole = restore.run(source, tmp_path / "whole.mkv", recipe)
    assert whole.frames == 64
    part = restore.run(source, tmp_path / "part.mkv", recipe, start="10f", end="20f")
    assert part.frames == 10
    pictures, _ = read(tmp_path / "whole.mkv")
    assert pictures[0].shape == (2 * HEIGHT, 2 * WIDTH)
    some, _ = read(tmp_path / "part.mkv")
    assert [a.tobytes() for a in some] == [b.tobytes() for b in pictures[10:20]]


def test_it_must_come_first(tmp_path: Path) -> None:
    source = write(tmp_path / "film.mkv", scene(9, 5), Fraction(24))
    stages = (*Recipe.of("upscale", strength=0).stages, *Recipe.of("deinterlace").stages)
    with pytest.raises(OptionError, match="deinterlace must come first"):
        restore.run(source, tmp_path / "out.mkv", Recipe(stages))


def grainy(frames: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.clip(frame + rng.normal(0, 12, frame.shape), 0, 255).astype(np.uint8) for frame in frames]


def test_grain_is_no_comb(tmp_path: Path) -> None:
    film = grainy(scene(6, 30), 1)
    source = write(tmp_path / "film.mkv", film, Fraction(24))
    frames, _, note = deinterlace(source, tmp_path / "out.mkv")
    assert "30 frames progressive" in note
    assert [frame.tobytes() for frame in frames] == [picture.tobytes() for picture in film]
    source = write(tmp_path / "video.mkv", grainy(interlaced(scene(6, 60), True), 2), Fraction(25))
    assert "30 frames interlaced" in deinterlace(source, tmp_path / "frames.mkv")[2]


def soft_telecined(film: Sequence[np.ndarray], path: Path) -> Path:
    """Whole frames, shown for three fields and for two in turn, as a DVD's flags ask."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray"
        for number, picture in enumerate(film):
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")):
                packet.time_base = Fraction(1001, 60000)
                packet.pts = packet.dts = (5 * number + 1) // 2
                container.mux(packet)
    return path


@pytest.mark.parametrize(
    "kind, order",
    [("progressive", None), ("interlaced", "tff"), ("interlaced", "bff"), ("hard 2:3", "tff"), ("hard 2:3", "bff"),
     ("soft 2:3", None), ("mixed", "tff"), ("unknown", None)],
)  # fmt: skip
def test_fields_are_found_and_counted(tmp_path: Path, kind: str, order: str | None) -> None:
    film, top_first = scene(7, 96), order == "tff"
    path, rate = tmp_path / "film.mkv", Fraction(30000, 1001)
    frames = {
        "progressive": film,
        "interlaced": interlaced(film, top_first),
        "hard 2:3": telecined(film, top_first),
        "mixed": [*film, *scene(8, 1600), *interlaced(scene(9, 4000), True)],
        "unknown": [film[0]] * 40,
    }
    source = soft_telecined(film, path) if kind == "soft 2:3" else write(path, frames[kind], rate)
    found = restore.survey_fields(source)
    assert found is not None
    assert (found.kind, found.field_order) == (kind, order), found.why
    counts = found.as_json()["stretches"]
    assert isinstance(counts, list)
    looked, moving, combed = (sum(place[name] for place in counts) for name in ("frames", "moving", "combed"))
    assert f"{looked} frames" in found.why
    if kind == "unknown":
        assert moving == 0
    elif kind == "interlaced":
        assert combed == moving == looked - 1
    elif kind in ("progressive", "soft 2:3"):
        assert combed == 0 < moving
    else:
        assert 0 < combed < moving


def test_pictures_hold_no_fields() -> None:
    assert restore.survey_fields(Path(__file__).parents[2] / "samples/photo.jpg") is None
