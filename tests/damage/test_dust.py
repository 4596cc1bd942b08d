"""Dirt and scratches: the same for a seed, on one frame or on many, and nothing elsewhere."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restore.damage import Dust, Scratches
from restore.damage.dust import Shape

GREY = torch.full((4, 3, 120, 160), 0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["polygon", "islands"]), st.integers(1, 3))
def test_a_frame_s_dirt_is_its_own_however_frames_are_grouped(seed: int, shape: Shape, split: int) -> None:
    for damage in (Dust(seed=seed, shape=shape, splices=(2,)), Scratches(seed=seed)):
        whole = damage.apply(GREY)
        parts = torch.cat([damage.apply(GREY[:split]), damage.apply(GREY[split:], first_frame=split)])
        assert torch.equal(whole, parts)
        assert 0 <= whole.min() <= whole.max() <= 1


@pytest.mark.parametrize("shape", ["polygon", "islands"])
def test_dirt_covers_a_small_part_and_another_part_on_every_frame(shape: Shape) -> None:
    picture = torch.full((6, 1, 480, 640), 0.5)
    dirty = (Dust(seed=4, shape=shape).apply(picture) != picture)[:, 0]
    share = dirty.float().mean((1, 2))
    assert ((share > 1e-4) & (share < 0.02)).all()
    assert float((dirty[0] & dirty[1]).sum()) < 0.3 * float(dirty[0].sum())


def test_nothing_asked_for_is_nothing_done() -> None:
    assert torch.equal(Dust(specks=0, blotches=0, hairs=0).apply(GREY), GREY)
    assert torch.equal(Scratches(lines=0).apply(GREY), GREY)


def test_sizes_grow_with_the_picture() -> None:
    def area(height: int) -> float:
        picture = torch.full((8, 1, height, height), 0.5)
        return float((Dust(seed=2, blotches=0, hairs=0, radius=3).apply(picture) != picture).float().mean())

    assert area(480) == pytest.approx(area(240), rel=0.4)


def test_a_splice_lies_along_the_top_or_the_bottom() -> None:
    changed = (Dust(specks=0, blotches=0, hairs=0, splices=(1,)).apply(GREY) != GREY).any(1)
    assert not changed[0].any()
    assert changed[1].any(0).all()
    assert not changed[1, 30:90].any()


def test_scratches_run_down_the_picture_and_wander() -> None:
    black = torch.zeros(12, 1, 240, 320)
    layer = Scratches(seed=6, lines=1, light=1.0, strength=(0.3, 0.3), rim=0).apply(black)[:, 0]
    columns = layer.argmax(-1)
    there = layer.amax(-1) > 0.1
    assert there.float().mean() > 0.3
    middles = torch.stack([row[seen].float().median() for row, seen in zip(columns, there, strict=True)])
    assert 0 < float(middles.std()) < 4
