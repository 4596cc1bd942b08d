"""Cutting a film into units of work."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from restore.frames import Shot
from restore.pipeline.segments import LONGEST, SHORTEST, clip_segments, cut_segments, digest

LENGTHS = st.lists(st.integers(1, 700), min_size=1, max_size=60) | st.lists(st.integers(1, 60), min_size=1, max_size=99)


def shots_of(lengths: list[int]) -> list[Shot]:
    ends = list(accumulate(lengths))
    return [Shot(n, end - length, end) for n, (length, end) in enumerate(zip(lengths, ends, strict=True))]


@given(LENGTHS)
def test_every_frame_once_and_no_piece_too_short(lengths: list[int]) -> None:
    total = sum(lengths)
    segments = cut_segments(shots_of(lengths))
    assert [s.number for s in segments] == list(range(len(segments)))
    assert segments[0].start == 0
    assert segments[-1].end == total
    assert all(a.end == b.start for a, b in zip(segments, segments[1:], strict=False))
    if total >= SHORTEST:
        assert min(map(len, segments)) >= SHORTEST
    else:
        assert len(segments) == 1
    assert max(map(len, segments)) <= LONGEST + SHORTEST


@given(LENGTHS)
def test_borders_are_cuts_where_one_is_near(lengths: list[int]) -> None:
    """A border that is no cut lies in a stretch without any cut far enough from the border before."""
    shots = shots_of(lengths)
    cuts = {shot.start for shot in shots}
    segments = cut_segments(shots)
    for segment in segments[:-1]:
        if segment.end not in cuts:
            assert not any(segment.start + SHORTEST <= cut <= segment.end for cut in cuts)


@given(LENGTHS, st.data())
def test_an_added_cut_moves_little(lengths: list[int], data: st.DataObject) -> None:
    """Before the shot that is cut nothing differs, and nothing after the first border behind it that both have."""
    shots = shots_of(lengths)
    total = sum(lengths)
    cut = data.draw(st.integers(0, total))
    borders = sorted({*(shot.start for shot in shots), total, cut, 0})
    edited = [Shot(n, a, b) for n, (a, b) in enumerate(zip(borders, borders[1:], strict=False))]
    old = [s.end for s in cut_segments(shots)]
    new = [s.end for s in cut_segments(edited)]
    touched = [end for end in old if end > cut]
    before = min(max(shot.start for shot in shots if shot.start <= max(0, cut - 1)), total - SHORTEST)
    assert [end for end in old if end <= before] == [end for end in new if end <= before]
    common = [end for end in touched if end in new and end - cut >= SHORTEST and end != total]
    if common:
        rest = common[0]
        assert [end for end in old if end > rest] == [end for end in new if end > rest]


@given(LENGTHS, st.data())
def test_a_part_is_covered_once(lengths: list[int], data: st.DataObject) -> None:
    total = sum(lengths)
    first = data.draw(st.integers(0, total - 1))
    stop = data.draw(st.integers(first + 1, total))
    pieces = clip_segments(cut_segments(shots_of(lengths)), first, stop)
    assert pieces[0].start == first
    assert pieces[-1].end == stop
    assert all(a.end == b.start for a, b in zip(pieces, pieces[1:], strict=False))
    if stop - first >= SHORTEST:
        assert min(map(len, pieces)) >= SHORTEST


def test_a_digest_does_not_depend_on_order() -> None:
    assert digest({"a": 1, "b": [1.5, "é"]}) == digest({"b": [1.5, "é"], "a": 1}) != digest({"a": 1, "b": ["é", 1.5]})
