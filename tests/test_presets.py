"""Presets: what a person may change of them, what they become as recipes, and `restore film` on films of every kind."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from material.films import decoded, samples, write_film

import restore
from restore.cli.main import main
from restore.errors import OptionError
from restore.media.options import OutputOptions
from restore.presets import as_toml, preset, preset_names, preset_stages
from restore.recipe import STAGES, Recipe


def named(recipe: Recipe) -> list[str]:
    return [name for name, _ in recipe.stages]


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_recipes(name: str) -> None:
    recipe = preset(name)
    assert named(recipe) == list(preset_stages(name))
    assert Recipe.from_dict(tomllib.loads(as_toml(recipe, f"restore {name}\nhead"))) == recipe


def test_stages_can_be_left_out_and_told() -> None:
    recipe = preset("film", skip=["upscale"], changes=["dedust.sensitivity=0.7", "deinterlace.field-order=bff"])
    assert "upscale" not in named(recipe)
    options = dict(recipe.stages)
    assert options["dedust"].sensitivity == 0.7
    assert options["deinterlace"].field_order == "bff"
    assert named(preset("film", only=["upscale", "dedust"])) == ["dedust", "upscale"]


def test_strength_multiplies_and_what_is_set_wins() -> None:
    whole, half = (
        dict(preset("film").stages),
        dict(preset("film", strength=0.5, changes=["deflicker.strength=1"]).stages),
    )
    assert half["deflicker"].strength == 1
    for name, options in half.items():
        if "strength" in STAGES.options_of(name).model_fields and name != "deflicker":
            assert options.strength == pytest.approx(0.5 * whole[name].strength)


@pytest.mark.parametrize(
    "asked, said",
    [
        ({"changes": ["dedust.sensitivty=1"]}, "did you mean sensitivity?"),
        ({"changes": ["dedst.sensitivity=1"]}, "did you mean dedust?"),
        ({"changes": ["dedust.sensitivity=7"]}, "less than or equal to 1"),
        ({"changes": ["dedust.sensitivity=much"]}, "valid number"),
        ({"changes": ["dedust=1"]}, "write STAGE.OPTION=VALUE"),
        ({"changes": ["dedust.sensitivity"]}, "write STAGE.OPTION=VALUE"),
        ({"changes": ["dedust.sensitivity="]}, "write STAGE.OPTION=VALUE"),
        ({"changes": ["dedust.sensitivity=[1"]}, "not a list"),
        ({"changes": ["dedust.sensitivity=1"], "skip": ["dedust"]}, "left out"),
        ({"skip": ["dust"]}, "film has no stage 'dust'; did you mean dedust?"),
        ({"only": ["faces"]}, "it has deinterlace"),
        ({"only": ["dedust"], "skip": ["dedust"]}, "every stage is left out"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_one_line(asked: dict[str, Sequence[str]], said: str) -> None:
    with pytest.raises(OptionError, match=r"^[^\n]+$") as caught:
        preset("film", **asked)  # type: ignore[arg-type]
    assert said in str(caught.value)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(0, 1))
def test_recipes_written_are_read_alike(text: str, number: float) -> None:
    recipe = Recipe.from_dict({
        "stage": [{"name": "dedust", "strength": number}, {"name": "upscale", "model": text}],
        "output": {"codec": text, "encoder_options": {text: text}},
    })  # fmt: skip
    assert Recipe.from_dict(tomllib.loads(as_toml(recipe, "head"))) == recipe


def test_a_recipe_is_written_to_be_edited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = write_film(tmp_path / "film.mkv", 4), tmp_path / "film.toml"
    line = ["film", str(source), str(tmp_path / "out.mkv"), "--no-upscale", "--write-recipe", str(target), "--crf", "9"]
    assert main(line) == 0
    assert not (tmp_path / "out.mkv").exists()
    recipe = Recipe.load(target)
    assert named(recipe) == named(preset("film", skip=["upscale"]))
    assert recipe.output.crf == 9
    assert main(["run", str(source), str(tmp_path / "out.mkv"), "--recipe", str(target), "--dry-run"]) == 0
    assert main(line) == 1
    assert "add --overwrite" in capsys.readouterr().err


def write_pictures_as_film(path: Path, pictures: Sequence[np.ndarray]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def flat(level: int, count: int = 12) -> list[np.ndarray]:
    return [np.full((48, 64, 3), level, np.uint8)] * count


def lossless(recipe: Recipe) -> Recipe:
    return Recipe(recipe.stages, output=OutputOptions(codec="ffv1"))


WHOLE = lossless(preset("film", skip=["upscale"]))


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_stay(tmp_path: Path, level: int) -> None:
    source = write_pictures_as_film(tmp_path / "flat.mkv", flat(level))
    restore.run(source, tmp_path / "out.mkv", WHOLE)
    assert samples(tmp_path / "out.mkv") == samples(source)


@pytest.mark.parametrize("count, cuts", [(1, ()), (2, ()), (3, ()), (9, tuple(range(1, 9))), (20, (1, 2, 12, 19))])
def test_the_shortest_films_and_shots(tmp_path: Path, count: int, cuts: tuple[int, ...]) -> None:
    source = write_film(tmp_path / "film.mkv", count, cuts)
    restore.run(source, tmp_path / "out.mkv", WHOLE)
    before, after = decoded(source), decoded(tmp_path / "out.mkv")
    assert [time for time, _ in after] == [time for time, _ in before]


def test_at_no_strength_nothing_changes(tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.mkv", 16, (7,))
    restore.run(source, tmp_path / "out.mkv", lossless(preset("film", skip=["upscale"], strength=0)))
    assert samples(tmp_path / "out.mkv") == samples(source)


def worn(count: int) -> list[np.ndarray]:
    """Shots that flicker and shake, with specks; the second more than the first."""
    rng = np.random.default_rng(3)
    texture = np.kron(rng.uniform(60, 190, (20, 24)), np.ones((8, 8)))
    made = []
    for number in range(count):
        hard = 3 if number >= count // 2 else 1
        y, x = rng.integers(0, 2 + hard, 2)
        shown = (texture if hard == 1 else texture[::-1])[y : y + 96, x : x + 128] * (1 + 0.02 * hard * rng.normal())
        shown[rng.integers(0, 90) :][:4, rng.integers(0, 120) :][:, :4] = 250
        made.append(np.repeat(np.clip(shown, 0, 255).astype(np.uint8)[..., None], 3, 2))
    return made


def event(told: str, kind: str) -> dict[str, Any]:
    """The one event of a kind among what a command said as JSON."""
    [found] = [line for line in map(json.loads, told.splitlines()) if line["event"] == kind]
    return dict(found)


def test_a_preview_is_kept_for_the_full_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_pictures_as_film(tmp_path / "worn.mkv", worn(120))
    line = ["film", str(source), str(tmp_path / "out.mkv"), "--no-upscale", "--skip", "denoise", "--json"]
    assert main([*line, "--preview"]) == 0
    told = event(capsys.readouterr().out, "preview")
    assert any("flicker" in moment["found"] for moment in told["moments"])
    with av.open(str(tmp_path / "out.preview.mp4")) as pairs:
        frames = list(pairs.decode(video=0))
    assert len(frames) == sum(moment["frames"][1] - moment["frames"][0] for moment in told["moments"])
    assert frames[0].width >= 256
    assert (tmp_path / "out.preview.png").exists()
    assert not (tmp_path / "out.mkv").exists()
    assert main(line) == 0
    done = event(capsys.readouterr().out, "done")
    assert done["rendered"] < done["frames"] == 120
    # The same film as without a preview.
    assert main([*line[:2], str(tmp_path / "other.mkv"), *line[3:]]) == 0
    assert samples(tmp_path / "other.mkv") == samples(tmp_path / "out.mkv")
    assert restore.plot(tmp_path / "out.mkv.restore")
    drawn = sorted(path.name for path in (tmp_path / "out.mkv.restore" / "plots").iterdir())
    assert [name.partition("-")[2] for name in drawn] == ["stabilize.png", "deflicker.png"]


def test_plots_need_a_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(tmp_path)]) == 1
    assert "no job folder" in capsys.readouterr().err


def test_moments_of_every_ailment_come_first() -> None:
    from restore.frames import Shot
    from restore.pipeline.contract import Finding
    from restore.pipeline.preview import Moment, worst

    def moment(number: int, **amounts: float) -> Moment:
        found = tuple(Finding(what, "", amount) for what, amount in amounts.items())
        return Moment(
            Shot(number, 10 * number, 10 * number + 10), 10 * number, 10 * number + 10, Fraction(number), found
        )

    film = [moment(0), moment(1, flicker=1.0), moment(2, flicker=1.2), moment(3, dirt=0.4), moment(4, flicker=1.1)]
    assert [m.shot.number for m in worst(film, 2)] == [2, 3]
    assert [m.shot.number for m in worst(film, 3)] == [2, 3, 4]
    assert len(worst(film, 9)) == 5
