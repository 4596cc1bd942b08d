"""`reage`: whose face is changed, where, how steadily, and what age does to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from contract import CPU, video_format
from hypothesis import given, settings
from hypothesis import strategies as st
from material.faces import SIZE, draw_face, face_plan, face_track, still

from restore.errors import OptionError
from restore.frames import FrameBatch
from restore.pipeline.contract import Stage
from restore.stages import build_stage
from restore.stages.reage.ages import Keyed
from restore.stages.reage.alignment import (
    FRAMING,
    USUAL,
    applied,
    cropped,
    inverse,
    matrix_of,
    place_of,
    put_back,
    similarities,
)
from restore.stages.reage.analysis import weights_of
from restore.stages.reage.engines import Faces, Wishes, choose_engine
from restore.stages.reage.grain import degrained
from restore.stages.reage.look import Album, covered, thumbs, usual_look
from restore.stages.reage.masks import lasting
from restore.stages.reage.options import ReageOptions, parse_zones
from restore.stages.reage.prototypes import NODES, basis, load_table

HEIGHT, WIDTH = SIZE


@pytest.fixture(scope="module")
def engine() -> Any:
    found = choose_engine("sift")
    found.open(CPU)
    return found


def wrinkled(side: int = 256, colour: Sequence[float] = (0.72, 0.52, 0.42), seed: int = 0) -> torch.Tensor:
    """(3, side, side): a plain face in front of blue, with dark lines across the forehead, pores, and dark hair."""
    rng = np.random.default_rng(seed)
    x, y = (part.numpy() for part in FRAMING.units(side))
    face = ((x / 1.0) ** 2 + ((y - 0.4) / 1.4) ** 2 < 1)[..., None]
    hair = ((x / 1.25) ** 2 + ((y - 0.1) / 1.85) ** 2 < 1)[..., None] & (y < 0.4)[..., None]
    picture = np.where(face, colour, np.where(hair, (0.10, 0.07, 0.05), (0.15, 0.25, 0.55)))
    lines = sum(np.exp(-(((y - at) / 0.035) ** 2)) for at in (-0.85, -0.65, -0.45)) * (np.abs(x) < 0.55)
    picture = np.where(hair & ~face, picture * (1 + 0.5 * np.sin(90 * x)[..., None]), picture)
    picture = picture * (1 - 0.22 * lines[..., None] * face)
    for away in (-0.5, 0.5):
        picture = np.where(((x - away) ** 2 + (y / 0.5) ** 2 < 0.02)[..., None], 0.1, picture)
    picture = picture * (1 + 0.02 * rng.normal(0, 1, (side, side, 1)))
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float()


def asked(crops: torch.Tensor, source: float, target: float, **wishes: Any) -> Faces:
    count, side = len(crops), crops.shape[-1]
    points = torch.from_numpy(FRAMING.points(side)).float().expand(count, -1, -1)
    ages = [torch.full((count,), age) for age in (source, target)]
    return Faces(crops, points, ages[0], ages[1], [Wishes(**wishes)] * count)


def forehead(crops: torch.Tensor) -> float:
    """How deep the lines of `wrinkled` are."""
    side = crops.shape[-1]
    luma = crops.mean(1)[0, :, side // 2 - 20 : side // 2 + 20].mean(1)
    _, y = FRAMING.units(side)
    at = [int((y[:, 0] - place).abs().argmin()) for place in (-0.65, -0.55)]
    return float(luma[at[1]] - luma[at[0]])


# Numbers that change over time


def test_ages_are_keyed() -> None:
    keyed = Keyed.parse("0:00=30, 0:02=60", 0, 120, "an age")
    rate = Fraction(25)
    assert [keyed.at(time, rate) for time in (0, Fraction(1), 2, 9)] == [30, 45, 60, 60]
    assert Keyed.parse(42, 0, 120, "an age").at(7, rate) == 42
    assert Keyed.parse("10f=20,20f=40", 0, 120, "an age").at(Fraction(15, 25), rate) == pytest.approx(30)


@pytest.mark.parametrize("text", ["", "young", "130", "-1", "nan", "0:02=30,0:01=40", "0:01=30,50", "0:0x=3"])
def test_ages_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(OptionError):
        Keyed.parse(text, 0, 120, "an age")
    with pytest.raises(OptionError):
        build_stage("reage", {"to": text})


def test_options_are_checked() -> None:
    assert ReageOptions(to=35, zone=("forehead=0.5",)).to == "35"  # type: ignore[arg-type]
    assert parse_zones(["neck=0:00=0,0:02=1"])["neck"].at(1, Fraction(25)) == 0.5
    for wrong in ({"zone": ("ear=1",)}, {"zone": ("chin",)}, {"hair_color": "brown"}, {"from_age": 0}):
        with pytest.raises(OptionError):
            build_stage("reage", wrong)


# Alignment


@given(st.floats(20, 300), st.floats(20, 200), st.floats(8, 90), st.floats(-0.9, 0.9), st.sampled_from([1.0, 16 / 15]))
@settings(max_examples=40, deadline=None)
def test_similarity_is_found_again(x: float, y: float, size: float, turn: float, aspect: float) -> None:
    linear = size * np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    points = (USUAL @ linear.T + (x, y)) / (aspect, 1)
    [found] = similarities(points[None], aspect)
    assert np.allclose(found, (x, y, size * np.cos(turn), size * np.sin(turn)), atol=1e-6)
    matrix = matrix_of(found, 192, aspect=aspect)
    assert np.allclose(applied(matrix, FRAMING.points(192)), points, atol=1e-6)
    assert np.allclose(applied(inverse(matrix), points), FRAMING.points(192), atol=1e-5)


@pytest.mark.parametrize("size", [24.0, 40.0, 90.0])
def test_what_is_put_back_lies_where_it_came_from(size: float) -> None:
    y, x = torch.meshgrid(torch.arange(240.0), torch.arange(320.0), indexing="ij")
    picture = torch.stack((x / 320, y / 240, torch.sin(x / 9) * torch.cos(y / 11) / 4 + 0.5))
    matrix = matrix_of(np.array((150.3, 110.7, size * 0.98, size * 0.2)), 192)
    place = place_of(matrix, 192, 240, 320)
    assert place is not None
    again = put_back(cropped(picture, matrix, 192), matrix, place)
    rows, columns = place.slices
    middle = (slice(None), slice(90, 130), slice(130, 170))
    whole = torch.zeros_like(picture)
    whole[:, rows, columns] = again
    assert float((whole - picture)[middle].abs().max()) < (0.01 if size < 50 else 0.03)


def test_a_face_outside_the_picture_has_no_place() -> None:
    assert place_of(matrix_of(np.array((-400.0, 50, 20, 0)), 192), 192, 100, 100) is None


# How strongly


def test_strength_never_pops() -> None:
    track = face_track([(100.0, 100.0)] * 60, 40.0, start=20)
    frontal = np.ones(60)
    frontal[30:36] = 0.0
    seen = weights_of(replace(track, frontal=frontal), 200)
    assert np.abs(np.diff(seen)).max() < 0.2
    assert seen[32] < 0.02
    assert seen[15] > 0.9
    assert seen[0] < 0.05
    assert seen[-1] < 0.05
    assert weights_of(face_track([(9.0, 9.0)] * 20, 40.0), 20).min() > 0.9  # there from the first frame to the last
    assert weights_of(face_track([(9.0, 9.0)] * 20, 10.0), 20).max() == 0  # 26 pixels wide


# The engine


def test_lines_go_and_come(engine: Any) -> None:
    crops = wrinkled()[None]
    younger, older = (crops + engine.deltas(asked(crops, 55, age, shape=0.0)) for age in (25, 85))
    assert forehead(younger) < 0.6 * forehead(crops)
    assert forehead(older) > 1.3 * forehead(crops)


def test_pores_stay(engine: Any) -> None:
    crops = wrinkled()[None]
    cheek = (0, 1, slice(130, 160), slice(92, 112))
    fine = [float((p[cheek] - torch.from_numpy(cv2.GaussianBlur(p[cheek].numpy(), (0, 0), 1.0))).std())
            for p in (crops, crops + engine.deltas(asked(degrained(crops), 60, 30)))]  # fmt: skip
    assert fine[1] > 0.85 * fine[0]


def test_the_same_age_changes_next_to_nothing(engine: Any) -> None:
    crops = wrinkled()[None]
    assert float(engine.deltas(asked(crops, 50, 50)).abs().max()) < 1e-5


def test_a_face_does_not_depend_on_the_others(engine: Any) -> None:
    crops = torch.stack([wrinkled(seed=n, colour=c) for n, c in enumerate([(0.72, 0.52, 0.42), (0.3, 0.2, 0.15)])])
    both = engine.deltas(asked(crops, 60, 30))
    assert torch.equal(both[1:], engine.deltas(asked(crops[1:], 60, 30)))


def test_grey_stays_grey(engine: Any) -> None:
    crops = wrinkled().mean(0, keepdim=True).expand(3, -1, -1)[None].contiguous()
    for age in (25, 80):
        delta = engine.deltas(asked(crops, 50, age))
        assert float((delta.amax(1) - delta.amin(1)).max()) < 2e-3
        assert float(delta.abs().max()) > 0.02


def test_hair_greys_and_takes_a_colour(engine: Any) -> None:
    crops = wrinkled()[None]
    hair = (0, slice(None), slice(40, 56), slice(110, 146))
    older = crops + engine.deltas(asked(crops, 40, 80, shape=0.0))
    assert float(older[hair].mean()) > 1.3 * float(crops[hair].mean())
    red = crops + engine.deltas(asked(crops, 40, 40, hair_color="#a03010"))
    channels = red[hair].mean((1, 2))
    assert float(channels[0]) > 1.8 * float(channels[2])


def test_a_bald_head_has_no_hair(engine: Any) -> None:
    crops = torch.from_numpy(cv2.blur(wrinkled().permute(1, 2, 0).numpy(), (9, 9))).permute(2, 0, 1)[None]
    top = (0, slice(None), slice(41, 47), slice(122, 134))
    delta = engine.deltas(asked(crops, 40, 80, shape=0.0, skin=0.0, wrinkles=0.0))
    assert float(delta[top].abs().max()) < 0.02


def test_zones_have_their_own_strength(engine: Any) -> None:
    crops = wrinkled()[None]
    kept = crops + engine.deltas(asked(crops, 60, 30, shape=0.0, skin=0.0, zones={"forehead": 0.0}))
    assert forehead(kept) > 0.9 * forehead(crops)


def test_nothing_is_changed_far_from_the_head(engine: Any) -> None:
    crops = wrinkled()[None]
    delta = engine.deltas(asked(crops, 60, 30)).abs().amax((0, 1))
    assert float(delta[:6].max()) < 1e-4
    assert float(delta[:, :6].max()) < 1e-4


def test_the_table_says_what_age_does() -> None:
    table = load_table(torch.device("cpu"))
    young, old = torch.tensor([35.0]), torch.tensor([75.0])
    assert float(table.change("hair", young, old)[0, 0]) > 0.15  # hair greys
    assert float(table.change("bands", young, old)[0, 0, 2, 0]) > 0.3  # foreheads wrinkle
    assert torch.allclose(table.change("bands", old, young), -table.change("bands", young, old))


@given(st.floats(0, 120))
@settings(max_examples=30, deadline=None)
def test_ages_lie_between_nodes(age: float) -> None:
    [shares] = basis([age])
    assert shares.sum() == pytest.approx(1)
    assert float(shares @ NODES) == pytest.approx(min(max(age, NODES[0] - 10), NODES[-1] + 20))


# What covers a face


def pictures(count: int, hand: Sequence[int] = ()) -> list[Any]:
    made = []
    for number in range(count):
        picture = still([(160, 120, 110)], seed=number)
        if number in hand:
            cv2.circle(picture, (185, 145), 26, (165, 165, 165), -1, cv2.LINE_AA)
        made.append(picture)
    return made


def test_a_hand_is_told_from_the_face() -> None:
    count, hand = 20, range(8, 13)
    middle = np.array((160.0, 120 - 0.10 * 110))
    points = np.tile(middle + USUAL * 0.38 * 110, (count, 1, 1))
    shown = list(enumerate(pictures(count, hand)))
    look = usual_look(thumbs(shown, points, 0, 192))
    assert look is not None
    for number in (3, 10):
        [crop] = torch.from_numpy(thumbs([shown[number]], points, 0, 192))
        found = covered(crop, look)
        matrix = inverse(matrix_of(similarities(points[:1])[0], 48))
        x, y = applied(matrix, np.array((185.0, 145.0))).round().astype(int)
        assert (found[y, x] > 0.8) == (number in hand)
        assert found[18:24, 16:22].max() < 0.2  # the eye on the other side
    assert usual_look(thumbs(shown[:3], points, 0, 192)) is None


def test_a_cover_is_heeded_whole_and_goes_softly() -> None:
    none, all_ = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)
    film = [none, none, none, all_, none, none, none]
    shown = [float(lasting({k: film[n + k] for k in range(-2, 3) if 0 <= n + k < 7})[0, 0]) for n in range(7)]
    assert shown[3] == 1
    assert np.allclose(shown[1:3], (1 / 3, 2 / 3))
    assert shown[0] == 0


def test_an_album_stays_small() -> None:
    album = Album()
    for number in range(1000):
        album.add(np.full((2, 2, 3), number % 256, np.uint8))
    kept = [number for number, _ in album.between(0, 1000)]
    assert 24 <= len(kept) <= 49
    assert len(set(np.diff(kept))) == 1


# The stage


def tensors(shown: Sequence[Any]) -> torch.Tensor:
    """(N, 3, H, W) in [0, 1]."""
    return torch.stack([torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1) for picture in shown])


def processed(stage: Stage[Any], shown: Sequence[Any], plan: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """All frames through `process`, in windows of one core frame."""
    format = video_format("gbrp", WIDTH, HEIGHT)
    frames = tensors(shown)
    results, masks = [], []
    with stage, torch.inference_mode():
        stage.open(CPU, format)
        for number in range(len(frames)):
            around = list(range(number - 2, number + 3))
            there = [0 <= n < len(frames) for n in around]
            pixels = torch.stack([frames[n] if 0 <= n < len(frames) else torch.zeros_like(frames[0]) for n in around])
            batch = FrameBatch(pixels, tuple(around), slice(2, 3), tuple(there), 0, format)
            [result], [mask] = stage.process(batch, stage.told(plan))
            results.append(result)
            masks.append(mask[0])
    return torch.stack(results), torch.stack(masks)


def drawn(count: int) -> tuple[list[Any], dict[str, Any]]:
    """Two faces, of which the left one is the actor's, and what would be found of it."""
    shown = [still([(90, 120, 80), (230, 120, 80)], seed=n) for n in range(count)]
    plan = face_plan([(90.0, 112.0)] * count, 0.38 * 80, (WIDTH, HEIGHT))
    return shown, {**plan, "actor": [0]}


def test_only_the_actor_is_changed() -> None:
    shown, plan = drawn(5)
    result, mask = processed(build_stage("reage", {"from_age": 50, "to": 80}), shown, plan)
    before = tensors(shown)
    changed = (result != before).any(1)
    assert not bool((changed & ~mask).any())
    assert not bool(mask[:, :, 185:].any())
    assert float((result - before)[:, :, 90:160, 60:120].abs().max()) > 0.03


def test_a_still_face_is_changed_the_same_in_every_frame() -> None:
    shown, plan = drawn(8)
    result, _ = processed(build_stage("reage", {"from_age": 50, "to": 25}), shown, plan)
    before = tensors(shown)
    delta = (result - before)[2:-2, :, 90:160, 60:120]
    assert float((delta[1:] - delta[:-1]).abs().mean()) < 1 / 255


def test_no_actor_no_change() -> None:
    shown, plan = drawn(3)
    result, mask = processed(build_stage("reage", {"from_age": 50}), shown, {**plan, "actor": []})
    assert not bool(mask.any())
    assert torch.equal(result, tensors(shown))


def test_edits_are_checked() -> None:
    stage = build_stage("reage", {})
    assert stage.checked_edit({"to": 40, "zone": ["neck=0"]}) == {"to": "40", "zone": ("neck=0",)}
    with pytest.raises(OptionError, match="lies between"):
        stage.checked_edit({"to": 300})
    with pytest.raises(OptionError, match="zones are"):
        stage.checked_edit({"zone": ["ear=1"]})


def test_drawn_faces_are_where_the_plan_says() -> None:
    """The material of these tests itself."""
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    draw_face(picture, 90, 120, 80)
    assert picture[112, 75].mean() < 60  # an eye
