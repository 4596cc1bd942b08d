"""The contact sheet of versions: a picture, and a page in a real browser."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browsing import requests
from PIL import Image

from restore.media.clip import ClipWriter
from restore.report.versions_sheet import SIDE, Column, VersionRow, cropped, write_sheet


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """Two versions at three moments, the second with a clip."""

    def stills(seed: int) -> tuple[np.ndarray[Any, Any], ...]:
        random = np.random.default_rng(seed)
        return tuple(random.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(3))

    clip = tmp_path / "002.mp4"
    with ClipWriter(clip, SIDE, SIDE, Fraction(25)) as writer:
        for picture in stills(4):
            writer.write(picture)
    rows = [
        VersionRow(None, "source", stills(1)), VersionRow(1, "to 25 <b>", stills(2)),
        VersionRow(2, "to 70", stills(3), clip),
    ]  # fmt: skip
    columns = [Column(Fraction(n), 0.5) for n in range(3)]
    write_sheet(rows, columns, "Versions of clip.mp4", "clip.mp4", tmp_path / "v.png", tmp_path / "v.html")
    return tmp_path / "v.html"


def test_the_page_fetches_nothing_and_shows_the_source_under_each_still(sheet: Path, browser: Any) -> None:
    requests(browser)
    browser.get(sheet.as_uri())
    assert requests(browser) == [sheet.as_uri()]
    heads = [head.text for head in browser.find_elements("css selector", "h2")]
    assert heads == ["1. to 25 <b>", "2. to 70"]
    assert len(browser.find_elements("css selector", ".pair")) == 6
    pair = browser.find_element("css selector", "#version-2 .pair")
    shown = "return getComputedStyle(arguments[0].querySelector('.before')).clipPath"
    assert "100%" in browser.execute_script(shown, pair)  # at first the version alone
    moved = "const s = arguments[0].querySelector('input'); s.value = 60; s.dispatchEvent(new Event('input'))"
    browser.execute_script(moved, pair)
    assert "60%" in browser.execute_script("return arguments[0].style.getPropertyValue('--at')", pair)
    whole = f"return [...document.images].every((one) => one.complete && one.naturalWidth === {SIDE})"
    assert browser.execute_script(whole)
    assert browser.execute_script("return document.querySelector('#version-2 video').src").startswith("data:video/mp4")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_the_picture_has_a_row_a_version(sheet: Path) -> None:
    with Image.open(sheet.with_suffix(".png")) as picture:
        assert picture.size[0] > 3 * SIDE
        assert picture.size[1] > 3 * SIDE


def test_what_is_shown_is_cut_out_and_dark_beyond_the_edge() -> None:
    picture = torch.zeros((3, 60, 80))
    picture[:, 20:40, 30:50] = 1
    assert cropped(picture, (30, 20, 20)).min() == 255
    beyond = cropped(picture, (-20, -20, 40))
    assert (beyond[:150, :150] == 24).sum() > 0.6 * 150 * 150 * 3
    assert cropped(picture, (30, 20, 40), aspect=2.0).mean() == pytest.approx(127.5, abs=3)  # pixels twice as wide
