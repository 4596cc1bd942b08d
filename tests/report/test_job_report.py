"""The report of a job, and comparisons, in a real browser."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import requests
from films import FilmSpec, write_film

import restore
from restore import pages
from restore.cli.main import main
from restore.errors import PlanError, SourceNotFoundError
from restore.pipeline.stills import shown_size
from restore.recipe import Recipe
from restore.report.film import Film
from restore.report.measures import luma, measure, noise, psnr, sharpness, ssim


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished job with a report: a film of three shots, enlarged."""
    folder = tmp_path_factory.mktemp("job")
    source = write_film(folder / "reel <b>1.mkv", FilmSpec(codec="ffv1", frames=60))
    result = restore.run(source, folder / "out.mkv", Recipe.of("upscale", scale=2, strength=0))
    pages.report(result.folder)
    return result.folder


def test_the_slider_moves_and_nothing_is_fetched(job: Path, browser: Any) -> None:
    page = (job / "report.html").as_uri()
    requests(browser)
    browser.get(page)
    assert requests(browser) == [page]
    pair = browser.find_element("css selector", ".pair")
    before = pair.find_element("css selector", ".before")
    box = pair.find_element("css selector", ".both").rect

    def shown() -> str:
        return str(browser.execute_script("return getComputedStyle(arguments[0]).clipPath", before))

    half = shown()
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).move_to_element_with_offset(
        pair.find_element("css selector", "input"), round(box["width"] * 0.3), 0
    ).click().perform()
    assert shown() != half
    assert "reel <b>1.mkv" in browser.find_element("css selector", ".facts").text
    assert len(browser.find_elements("css selector", ".strip")) >= 1
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_it_can_be_read_on_a_phone(job: Path, browser: Any) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    browser.get((job / "report.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    size = browser.execute_script("return getComputedStyle(document.body).fontSize")
    assert float(size.removesuffix("px")) >= 14
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_report_needs_a_job(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"job\.json"):
        pages.report(tmp_path)
    (tmp_path / "job.json").write_text("{}")
    with pytest.raises(PlanError, match="no source"):
        pages.report(tmp_path)


def test_a_report_without_its_films_says_so(job: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "job"
    shutil.copytree(job, copy)
    text = (copy / "job.json").read_text().replace("out.mkv", "gone.mkv")
    (copy / "job.json").write_text(text)
    page = pages.report(copy).read_text()
    assert "no stills" in page
    assert "upscale" in page


def test_compare_measures_against_a_truth(job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = str(job.parent / "reel <b>1.mkv"), str(job.parent / "out.mkv")
    page = tmp_path / "page.html"
    assert main(["compare", source, output, "--page", str(page), "--truth", output]) == 0
    text = page.read_text()
    assert "PSNR" in text
    assert "<td>99</td>" in text
    assert "reel &lt;b&gt;1" in text
    assert main(["compare", source, output, "--page", str(page)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["compare", source, str(tmp_path / "none.mkv"), "--page", str(tmp_path / "p.html")]) == 1
    assert not (tmp_path / "p.html").exists()


def test_any_frame_is_found(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", FilmSpec(codec="h264", frames=40))
    with Film(str(path)) as film:
        assert len(film) == 40
        assert [film.at(film.time(number)) for number in range(40)] == list(range(40))
        assert film.at(Fraction(999)) == 39
        once = dict(film.stills([3, 30, 12], shown_size(film.format)))
        again = dict(film.stills([12], shown_size(film.format)))
        assert sorted(once) == [3, 12, 30]
        assert np.array_equal(once[12], again[12])


def test_measures_know_what_they_measure() -> None:
    random = np.random.default_rng(1)
    ramp = np.broadcast_to(np.linspace(40, 200, 256), (256, 256))
    flat = np.repeat(ramp[..., None], 3, 2)
    for sigma in (2.0, 8.0):
        noisy = np.clip(flat + random.normal(0, sigma, (256, 256, 1)), 0, 255).round().astype(np.uint8)
        assert noise(luma(noisy)) == pytest.approx(sigma, rel=0.15)
    edge = np.where(np.arange(256) // 32 % 2, 30, 220).astype(np.uint8)
    sharp = np.broadcast_to(edge[None, :, None], (256, 256, 3))
    import cv2

    soft = cv2.GaussianBlur(np.ascontiguousarray(sharp), (0, 0), 3)
    assert sharpness(luma(sharp)) > 1.5 * sharpness(luma(soft))
    assert psnr(sharp, sharp) == float("inf")
    assert psnr(np.full_like(sharp, 10), np.full_like(sharp, 11)) == pytest.approx(48.13, abs=0.01)
    assert ssim(luma(sharp), luma(sharp)) == pytest.approx(1)
    assert ssim(luma(sharp), luma(soft)) < 0.99
    assert [row.name for row in measure([(soft, sharp)], [sharp])][-2:] == ["PSNR", "SSIM"]
    assert measure([]) == []
