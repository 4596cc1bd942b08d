"""Synthetic damage: the same for a seed, as strong as it says, and nothing where nothing was asked for."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restore.damage import Damage, compression, grain, optics, sample_clean, sample_film, tone

FLAT = torch.full((2, 3, 64, 64), 0.5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**20), st.sampled_from([1, 2, 4]))
def test_a_recipe_always_does_the_same_and_stays_in_range(seed: int, downscale: int) -> None:
    damage = sample_film(random.Random(seed))
    pixels = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(seed))
    once, again = damage.apply(pixels, downscale), damage.apply(pixels, downscale)
    assert torch.equal(once, again)
    assert once.shape == (2, 3, 32 // downscale, 48 // downscale)
    assert 0 <= once.min() <= once.max() <= 1
    assert all(0 <= value <= 1 for value in damage.degradation)


def test_another_seed_is_another_grain_and_frames_differ() -> None:
    damage = Damage(seed=1, grain=0.05)
    first, second = damage.apply(FLAT).split(1)
    assert not torch.equal(first, second)
    assert not torch.equal(first, replace(damage, seed=2).apply(FLAT)[:1])


def test_grain_belongs_to_the_frame_whatever_the_batch() -> None:
    damage = Damage(seed=3, grain=0.05, sensor=0.01)
    together = damage.apply(FLAT)
    apart = torch.cat([damage.apply(FLAT[:1]), damage.apply(FLAT[1:], first_frame=1)])
    assert torch.equal(together, apart)


def test_no_damage_is_the_picture_in_eight_bits() -> None:
    pixels = torch.rand(1, 3, 16, 16)
    assert (Damage().apply(pixels) - pixels).abs().max() <= 0.5 / 255 + 1e-6
    assert Damage().degradation == (0.0, 0.0, 0.0)
    assert sample_clean(random.Random(0)).degradation == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("size", [0.0, 0.5, 1.2])
def test_grain_is_as_strong_as_it_says_at_mid_grey(size: float) -> None:
    noisy = Damage(grain=0.05, grain_size=size).apply(torch.full((1, 3, 256, 256), 0.5))
    assert float(noisy[0, 1].std()) == pytest.approx(0.05, rel=0.08)
    assert Damage(grain=0.05).degradation[1] == pytest.approx(0.5)


def test_grain_is_weaker_in_the_dark_and_coarser_where_asked() -> None:
    generator = torch.Generator().manual_seed(0)
    dark = grain.film_grain(torch.zeros(1, 3, 128, 128), 0.05, 0.0, 0.0, generator)
    assert float(dark.std()) < 0.03
    fine, coarse = (grain.film_grain(FLAT[:1] * 0 + 0.5, 0.05, s, 0.0, generator)[0, 0] for s in (0.0, 1.2))
    neighbours = [
        float(torch.corrcoef(torch.stack([g[:, 1:].flatten(), g[:, :-1].flatten()]))[0, 1]) for g in (fine, coarse)
    ]
    assert neighbours[0] < 0.1
    assert neighbours[1] > 0.6


@pytest.mark.parametrize("sigma", [0.7, 1.5])
def test_kernels_are_as_wide_as_they_say(sigma: float) -> None:
    for kernel, tolerance in ((optics.gaussian_kernel(sigma), 0.05), (optics.disc_kernel(sigma), 0.2)):
        axis = torch.arange(len(kernel)) - len(kernel) // 2
        assert float(kernel.sum()) == pytest.approx(1)
        assert float((kernel.sum(0) * axis**2).sum().sqrt()) == pytest.approx(sigma, rel=tolerance)


def test_worse_jpegs_are_further_from_the_picture() -> None:
    pixels = torch.rand(1, 3, 32, 32)
    errors = [float((compression.jpeg(pixels, q) - pixels).abs().mean()) for q in (95, 60, 20)]
    assert errors == sorted(errors)
    assert [Damage(jpeg=q).degradation[2] for q in (0, 90, 20)] == [0.0, 0.1, 0.8]


def test_chroma_subsampling_leaves_luma() -> None:
    pixels = torch.rand(1, 3, 17, 31)
    torch.testing.assert_close(grain.luma(compression.subsample_chroma(pixels)), grain.luma(pixels), atol=1e-5, rtol=0)


def test_tone_is_the_truth_s_too() -> None:
    damage = Damage(black_and_white=True, fade=0.4, blur=1.0)
    toned = damage.toned(torch.rand(1, 3, 8, 8))
    torch.testing.assert_close(toned[:, 0], toned[:, 2])
    assert 0.2 - 1e-6 <= toned.min() <= toned.max() <= 0.8 + 1e-6
    torch.testing.assert_close(tone.fade(torch.tensor([0.0, 0.5, 1.0]), 1.0), torch.full((3,), 0.5))
