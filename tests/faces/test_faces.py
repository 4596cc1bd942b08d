"""Faces found, followed through gaps and cuts, kept apart, grouped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from material.faces import still

from restore.errors import OptionError, PlanError, WeightsError
from restore.faces.detect import choose_detector, overlap
from restore.faces.haar import HaarDetector
from restore.faces.identify import Said, cast, group
from restore.faces.smoothing import anchored, smoothed
from restore.faces.track import ShotTracker, Track


def followed(pictures: list, start: int = 0) -> list[Track]:
    tracker = ShotTracker(HaarDetector(), start, np.ones(2))
    for picture in pictures:
        tracker.add(picture)
    return tracker.finish()


def test_haar_finds_face_and_eyes() -> None:
    [face] = HaarDetector().find(still([(160, 120, 90)]))
    assert overlap(face.box, np.array((112, 75, 96, 96))) > 0.7
    assert face.measured
    assert np.abs(face.points[:2] - ((143, 111), (177, 111))).max() < 5


def test_a_still_face_stands_still() -> None:
    [track] = followed([still([(150, 118, 90)], seed) for seed in range(24)])
    assert (track.start, len(track)) == (0, 24)
    assert track.points.std(axis=0).max() < 0.3


def test_a_moving_face_is_followed_without_lag() -> None:
    xs = [110 + 3 * n for n in range(30)]
    [track] = followed([still([(x, 118, 84)], n) for n, x in enumerate(xs)], start=100)
    assert (track.start, track.stop) == (100, 130)
    centres = track.boxes[:, 0] + track.boxes[:, 2] / 2
    assert np.abs(centres - xs).max() < 4


def test_a_face_not_found_for_a_while_is_carried_on(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = HaarDetector()
    tracker = ShotTracker(detector, 0, np.ones(2))
    for n in range(36):
        # A detector blind for half a second; what the flow sees is not.
        monkeypatch.setattr(detector, "find", (lambda *_: []) if 9 <= n < 24 else HaarDetector.find.__get__(detector))
        tracker.add(still([(120 + 2 * n, 118, 84)], n))
    [track] = tracker.finish()
    assert len(track) == 36
    centres = track.boxes[:, 0] + track.boxes[:, 2] / 2
    assert np.abs(centres - (120 + 2 * np.arange(36))).max() < 4


def test_a_face_that_goes_ends() -> None:
    [track] = followed([still([(150, 118, 84)] if n < 18 else [], n) for n in range(30)])
    assert 17 <= track.stop <= 19


def test_no_face_in_a_plain_picture() -> None:
    assert followed([still([], seed) for seed in range(12)]) == []


def test_two_faces_are_two_tracks() -> None:
    found = followed([still([(90, 110, 76), (230, 120, 76)], seed) for seed in range(15)])
    assert sorted(round(float(track.boxes[7, 0] + track.boxes[7, 2] / 2) / 10) for track in found) == [9, 23]


@given(st.integers(4, 60), st.floats(-3, 3), st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_straight_paths_stay_as_they_are(count: int, slope: float, first: float) -> None:
    values = first + slope * np.arange(count)
    assert np.allclose(smoothed(values, np.ones(count)), values, atol=1e-3)


@given(st.integers(5, 60), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_smoothing_knows_no_direction_of_time(count: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 1, count)
    weights = np.ones(count)
    assert np.allclose(smoothed(values, weights), smoothed(values[::-1], weights)[::-1], atol=1e-5)


def test_a_path_goes_as_the_flow_does() -> None:
    way = np.concatenate((np.zeros(20), np.full(20, 30.0)))
    measured = way + np.random.default_rng(0).normal(0, 2, 40)
    path = anchored(np.diff(way, prepend=0), measured, np.ones(40))
    assert np.abs(path - way).max() < 2
    assert np.abs(np.diff(path - way)).max() < 0.3


def test_people_are_grouped_by_likeness_unless_seen_together() -> None:
    east = np.array((1.0, 0))
    spans = [(0, 50), (50, 80), (60, 90), (100, 200)]
    near = np.array((0.8, 0.6))  # alike enough, but seen beside the second
    assert group(spans, [east, east, near, -east], 0.5) == [2, 2, 3, 1]
    assert len(set(group(spans, [None] * 4, 0.5))) == 4


def test_people_are_merged_renamed_and_dropped_by_hand() -> None:
    found = {1: 1, 2: 2, 3: 3}
    people = cast(found, [Said(person=2, same_as=1), Said(person=1, name="Ann"), Said(track=3, drop=True)])
    assert [(p.number, p.name, p.tracks) for p in people] == [(1, "Ann", (1, 2))]
    with pytest.raises(PlanError, match="no person 9"):
        cast(found, [Said(person=9, drop=True)])
    with pytest.raises(PlanError, match="no track 9"):
        cast(found, [Said(track=9, drop=True)])


def test_detectors_are_named_or_refused(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("RESTORE_CACHE", str(tmp_path))
    assert choose_detector("auto").name == "haar"
    with pytest.raises(OptionError, match="auto, haar, yunet and retinaface"):
        choose_detector("mtcnn")
    with pytest.raises(WeightsError, match="models pull yunet"):
        choose_detector("yunet")
    (tmp_path / "no.onnx").write_bytes(b"not a network")
    with pytest.raises(WeightsError, match="YuNet"):
        choose_detector(str(tmp_path / "no.onnx"))
