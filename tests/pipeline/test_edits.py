"""What a person changes wins, is found wherever they made a mistake, and re-renders only what it touches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from material.films import samples, write_film
from material.stages import looked_at

import restore
from restore.errors import PlanError
from restore.media.options import OutputOptions
from restore.recipe import Recipe
from restore.stages import parse_options

Keys = Callable[[Path], dict[tuple[int, int], str]]
CUTS = (60, 130, 190)


@pytest.fixture(autouse=True)
def _stages(known_stages: None) -> None:
    looked_at.clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_film(tmp_path / "in.mkv", 250, CUTS, pix_fmt="bgr0")  # RGB: comes back exactly


def recipe(amount: float = 1, patience: int = 1) -> Recipe:
    options = parse_options("stretch", {"amount": amount, "patience": patience})
    return Recipe((("stretch", options),), output=OutputOptions(codec="ffv1"))


def edit(tmp_path: Path, value: Any) -> None:
    folder = tmp_path / "out.mkv.restore"
    folder.mkdir(exist_ok=True)
    (folder / "edits.json").write_text(value if isinstance(value, str) else json.dumps(value))


def test_a_change_renders_what_it_touches(tmp_path: Path, source: Path, journal_keys: Keys) -> None:
    output = tmp_path / "out.mkv"
    restore.run(source, output, recipe())
    before, plain = samples(output), samples(source)
    folder = tmp_path / "out.mkv.restore"
    first = journal_keys(folder)
    assert sorted(first) == [(0, 60), (60, 130), (130, 190), (190, 250)]
    seen = len(looked_at)
    edit(
        tmp_path,
        {"changes": [{"from": "60f", "to": "61f", "stage": "stretch", "set": {"amount": 0}, "note": "too much"}]},
    )
    result = restore.run(source, output, recipe())
    assert result.rendered == 70
    second = journal_keys(folder)
    assert {frames for frames in second if second[frames] != first[frames]} == {(60, 130)}
    assert samples(output) == before[:60] + plain[60:130] + before[130:]
    assert len(looked_at) == seen, "nothing was analysed again"
    edit(tmp_path, {})
    assert restore.run(source, output, recipe()).rendered == 70
    assert samples(output) == before


def test_findings_can_be_overruled(tmp_path: Path, source: Path) -> None:
    edit(tmp_path, {"changes": [{"from": 0, "to": 100, "stage": "stretch", "set": {"peak": 1.0}}]})
    restore.run(source, tmp_path / "out.mkv", recipe())
    assert samples(tmp_path / "out.mkv")[:130] == samples(source)[:130]


def test_cuts_are_added_and_removed(tmp_path: Path, source: Path, journal_keys: Keys) -> None:
    restore.run(source, tmp_path / "out.mkv", recipe())
    folder = tmp_path / "out.mkv.restore"
    assert [s.start_frame for s in restore.shots(source, folder)] == [0, *CUTS]
    first = journal_keys(folder)
    edit(tmp_path, {"cuts": {"remove": ["0:05.2"], "add": [8.8]}})
    assert [s.start_frame for s in restore.shots(source, folder)] == [0, 60, 190, 220]
    looked_at.clear()
    restore.run(source, tmp_path / "out.mkv", recipe())
    assert {shot for shot, _ in looked_at} == {60, 190, 220}, "only shots that changed are analysed again"
    second = journal_keys(folder)
    assert second[0, 60] == first[0, 60]
    assert (60, 190) in second


def test_analysis_is_kept_and_taken_up(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled in the analysis of the second shot that is looked at: the first is not looked at again."""
    monkeypatch.setattr("restore.engines.inline._MOST", 1)
    with pytest.raises(restore.errors.CancelledError):
        restore.run(source, tmp_path / "out.mkv", recipe(), cancel=lambda: len(looked_at) >= 90)
    assert len(looked_at) == 90
    first = looked_at[0][0]
    looked_at.clear()
    restore.run(source, tmp_path / "out.mkv", recipe())
    assert {shot for shot, _ in looked_at} == {0, *CUTS} - {first}


def test_keys_depend_on_what_shapes_pixels(tmp_path: Path, source: Path) -> None:
    output = tmp_path / "out.mkv"
    restore.run(source, output, recipe())
    assert restore.run(source, output, recipe(patience=5)).unchanged
    assert restore.run(source, output, recipe(), batch=3).unchanged
    assert restore.run(source, output, recipe(amount=0.5)).rendered == 250
    threads = Recipe(recipe().stages, output=OutputOptions(codec="ffv1", threads=2))
    assert restore.run(source, output, threads).rendered == 250
    assert restore.run(source, output, Recipe(threads.stages, output=OutputOptions(codec="x264"))).rendered == 250


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"cuts": {"add": [1, 2,]}}', "line 1, column"),
        ('{\n "cuts": {\n  "add": [1 2]}}', "line 3, column 13"),
        ("", "line 1, column 1"),
        ("[]", "edits.json"),
        ('{"cut": {}}', "cut"),
        ('{"version": 2}', "version"),
        ('{"cuts": {"add": ["noon"]}}', "cuts.add.0"),
        ('{"changes": [{"from": 0, "to": 1, "stage": "strech", "set": {}}]}', "no stage 'strech'"),
        (
            '{"changes": [{"from": 0, "to": 1, "stage": "stretch", "set": {"amout": 1}}]}',
            "no amout to set; it has amount",
        ),
        (
            '{"changes": [{"from": 0, "to": 1, "stage": "stretch", "set": {"amount": 7}}]}',
            "amount: Input should be less",
        ),
        ('{"changes": [{"from": 0, "to": 1, "stage": "stretch", "set": {"amount": "x"}}]}', "amount: Input should be"),
        ('{"changes": [{"from": 0, "to": 1, "stage": "stretch", "set": {"amount": null}}]}', "null"),
        ('{"changes": [{"from": "00:00:00:77", "to": 1, "stage": "stretch", "set": {}}]}', "not a timecode"),
        ('{"changes": [{"to": 1, "stage": "stretch", "set": {}}]}', "changes.0.from"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: str) -> None:
    source = write_film(tmp_path / "in.mkv", 5)
    edit(tmp_path, text)
    with pytest.raises(PlanError) as raised:
        restore.run(source, tmp_path / "out.mkv", recipe())
    assert "edits.json" in str(raised.value)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out.mkv").exists()


def test_strength_and_degradation_of_a_shot(tmp_path: Path, tiny_reel: Path) -> None:
    """`upscale`: options win over what was measured, edits over both."""
    source = write_film(tmp_path / "in.mkv", 100, (50,))
    output = tmp_path / "out.mkv"

    def film(**options: Any) -> list[bytes]:
        wanted = Recipe.of("upscale", model=str(tiny_reel), **options)
        restore.run(source, output, Recipe(wanted.stages, output=OutputOptions(codec="ffv1")))
        return samples(output)

    plain, full = film(strength=0), film()
    assert all(a != b for a, b in zip(plain, full, strict=True))
    edit(tmp_path, {"changes": [{"from": "50f", "to": "60f", "stage": "upscale", "set": {"strength": 0}}]})
    assert film() == full[:50] + plain[50:]
    edit(tmp_path, {})
    noisy = film(noise=1.0)
    assert noisy != full
    edit(tmp_path, {"changes": [{"from": "0f", "to": "10f", "stage": "upscale", "set": {"noise": 0.5}}]})
    mixed = film(noise=1.0)
    assert mixed[50:] == noisy[50:]
    assert mixed[:50] not in (noisy[:50], full[:50])
