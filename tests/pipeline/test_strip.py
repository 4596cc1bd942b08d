"""Windows as views of a strip: the frames asked for, blanks where there are none, nothing handed out written over."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import given
from hypothesis import strategies as st

from restore.pipeline.strip import Strip


def picture(number: int) -> torch.Tensor:
    return torch.full((2, 3), float(number + 1))


@given(
    first=st.integers(0, 50),
    count=st.integers(1, 60),
    before=st.integers(0, 4),
    after=st.integers(0, 4),
    batches=st.lists(st.integers(1, 20), min_size=1, max_size=40),
)
def test_windows_hold_their_frames_and_keep_them(
    first: int, count: int, before: int, after: int, batches: list[int]
) -> None:
    have = range(first, first + count)
    asked: list[int] = []

    def make(numbers: Sequence[int]) -> tuple[torch.Tensor, ...]:
        asked.extend(numbers)
        pictures = torch.stack([picture(number) for number in numbers])
        return pictures, pictures[:, 0]

    strip, position, views = Strip(), have.start, []
    for size in batches:
        stop = min(have.stop, position + size)
        if position == stop:
            break
        wanted = range(position - before, stop + after)
        views.append((wanted, strip.view(wanted, have, make)))
        position = stop
    for wanted, (pixels, row) in views:
        truth = torch.stack([picture(n) if n in have else torch.zeros(2, 3) for n in wanted])
        assert torch.equal(pixels, truth)
        assert torch.equal(row, truth[:, 0])
    assert asked == sorted(set(asked)), "every frame is asked for once"
