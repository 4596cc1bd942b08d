"""Running sums, means and maxima against the plain way of computing them."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restore.analysis.running import running_max, running_mean, running_sum

SIZES = st.integers(1, 40).flatmap(lambda count: st.tuples(st.just(count), st.integers(1, count)))


def values_of(count: int) -> torch.Tensor:
    return torch.randn(3, count, 2, generator=torch.Generator().manual_seed(count))


@settings(deadline=None)
@given(SIZES)
def test_against_windows_taken_one_by_one(sizes: tuple[int, int]) -> None:
    values, width = values_of(sizes[0]), sizes[1]
    windows = values.unfold(1, width, 1)
    torch.testing.assert_close(running_sum(values, width, 1), windows.sum(-1))
    assert torch.equal(running_max(values.transpose(1, 2), width), windows.amax(-1).transpose(1, 2))


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 30))
def test_means_at_the_edges_are_over_what_there_is(count: int, reach: int) -> None:
    values = values_of(count)
    plain = [values[:, max(0, at - reach) : at + reach + 1].mean(1) for at in range(count)]
    torch.testing.assert_close(running_mean(values, 2 * reach + 1, 1), torch.stack(plain, 1))
