"""The index of a batch in a real browser: filters filter, columns sort; and its table for spreadsheets."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from browsing import requests

from restore.report.batch_index import Row, write_index


def rows(folder: Path) -> list[Row]:
    return [
        Row("/in/b.mov", str(folder / "b.mkv"), "done", 300, 20.0, 0, "2026-01-02T10:00:00+00:00", ""),
        Row("/in/a.mov", str(folder / "a.mkv"), "done", 40, 100.0, 2, "2026-01-02T11:00:00+00:00", ""),
        Row("=cmd()", str(folder / "c.mkv"), "failed", 0, 0.0, 0, "2026-01-02T12:00:00+00:00", "c: <no> picture"),
    ]


def test_filters_filter_and_columns_sort(tmp_path: Path, browser: Any) -> None:
    page = write_index(tmp_path, rows(tmp_path)).as_uri()
    requests(browser)
    browser.get(page)
    assert requests(browser) == [page]

    def names() -> list[str]:
        cells = browser.find_elements("css selector", "#reels tbody tr:not([hidden]) td:nth-child(2)")
        return [cell.text.split("\n")[0] for cell in cells]

    assert names() == ["b.mkv", "a.mkv", "c.mkv"]
    frames = browser.find_elements("css selector", "#reels th button")[2]
    frames.click()
    assert names() == ["c.mkv", "a.mkv", "b.mkv"]
    frames.click()
    assert names() == ["b.mkv", "a.mkv", "c.mkv"]
    words = browser.find_element("css selector", "#words")
    words.send_keys("no pict")
    assert names() == ["c.mkv"]
    words.clear()
    words.send_keys(" ")
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("css selector", "#state")).select_by_value("damaged")
    assert names() == ["a.mkv"]
    assert browser.find_element("css selector", "#count").text == "1 of 3"


def test_the_table_is_safe_in_a_spreadsheet(tmp_path: Path) -> None:
    write_index(tmp_path, rows(tmp_path))
    with (tmp_path / "report.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["state"] for row in table] == ["done", "done", "failed"]
    assert table[2]["source"] == "'=cmd()"
