"""Films of several segments, from the source to the joined film: every frame, its time and its sound."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from films import Sound, av_offset, decode, packets_of, pattern

from restore import api
from restore.frames import PixelFormat
from restore.media.options import OutputOptions
from restore.recipe import Recipe

MakeFilm = Callable[..., Path]
PIXEL = PixelFormat.parse("yuv420p")


@pytest.mark.parametrize("codec, suffix", [("x264", ".mp4"), ("x265", ".mkv"), ("av1", ".mp4"), ("ffv1", ".mkv")])
def test_a_film_of_several_segments(make_film: MakeFilm, codec: str, suffix: str) -> None:
    """400 frames with holes in their times, encoded in at least three pieces."""
    pts = [40 * n + (500 if n > 130 else 0) + (7 if n % 5 == 0 else 0) for n in range(400)]
    source = make_film(
        "reel.mkv", codec="ffv1", pts=pts, time_base=Fraction(1, 1000), sounds=[Sound("aac", seconds=16.0, click=12.0)]
    )
    result = source.with_name(f"out{suffix}")
    preset = {"x264": "ultrafast", "x265": "ultrafast", "av1": "12"}.get(codec)
    found = api.run(source, result, Recipe((), output=OutputOptions(codec=codec, preset=preset)))
    assert len(list((found.folder / "segments").glob("*.segment"))) >= 3
    shown = decode(result)
    assert [s.time - shown[0].time for s in shown] == [Fraction(p - pts[0], 1000) for p in pts]
    if codec == "ffv1":
        for number, picture in enumerate(shown):
            wanted = pattern(PIXEL, 64, 48, number)
            assert all(np.array_equal(a, b) for a, b in zip(picture.planes, wanted, strict=True))
    assert [p[2] for p in packets_of(source, "audio")] == [p[2] for p in packets_of(result, "audio")]
    assert abs(av_offset(result) - av_offset(source)) < 0.001
    again = api.run(source, result, Recipe((), output=OutputOptions(codec=codec, preset=preset)))
    assert again.unchanged


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_cut_on_every_frame(make_film: MakeFilm, suffix: str) -> None:
    """Shots of one frame each, by real cuts and by edits, are analysed, rendered and joined."""

    def picture(number: int) -> tuple[np.ndarray, ...]:
        return tuple(plane if number % 2 else 255 - plane // 3 for plane in pattern(PIXEL, 64, 48, number * 7))

    source = make_film("reel.mkv", codec="ffv1", frames=60, pictures=picture)
    result = source.with_name(f"out{suffix}")
    job = result.with_name(result.name + ".restore")
    job.mkdir()
    cuts = {"version": 1, "cuts": {"add": [f"{n}f" for n in range(1, 60)]}}
    (job / "edits.json").write_text(json.dumps(cuts))
    recipe = Recipe.of("upscale", scale=2, strength=0)
    found = api.run(source, result, replace(recipe, output=OutputOptions(codec="x264", crf=1)))
    assert found.frames == 60
    shown = decode(result)
    assert [round(s.time * 25) for s in shown] == list(range(60))
    for number, frame in enumerate(shown):
        assert abs(float(frame.planes[0].mean()) - float(picture(number)[0].mean())) < 2


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_films_with_sound(make_film: MakeFilm, count: int, suffix: str) -> None:
    source = make_film("reel.mp4", frames=count, sounds=[Sound("aac", seconds=0.4, click=0.1)])
    result = source.with_name(f"out{suffix}")
    assert api.run(source, result, Recipe.of("upscale", scale=2, strength=0)).frames == count
    with av.open(str(result)) as container:
        assert len(list(container.decode(video=0))) == count
    assert abs(av_offset(result) - av_offset(source)) < 0.001
