"""`restore photo` on real files: one picture, a folder, masks, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from restore.cli.main import main


def save(path: Path, seed: int = 1) -> Path:
    random = np.random.default_rng(seed)
    coarse = random.random((5, 7, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (96, 72), interpolation=cv2.INTER_CUBIC)
    picture[10:20, 10:20] = 0
    cv2.line(picture, (5, 60), (90, 15), (1, 1, 1), 2)
    cv2.imwrite(str(path), (picture.clip(0, 1) * 255).astype(np.uint8))
    return path


def size(path: Path) -> tuple[int, int]:
    loaded = cv2.imread(str(path))
    assert loaded is not None, path
    return loaded.shape[1], loaded.shape[0]


def test_one_photograph(tmp_path: Path) -> None:
    source, done, mask = save(tmp_path / "old.png"), tmp_path / "new.png", tmp_path / "mask.png"
    assert main(["photo", str(source), str(done), "--no-upscale", "--mask-out", str(mask), "-q"]) == 0
    assert size(done) == size(mask) == (96, 72)
    before, after, where = (cv2.imread(str(path)) for path in (source, done, mask))
    assert before is not None
    assert after is not None
    assert where is not None
    assert set(np.unique(where)) <= {0, 255}
    assert np.array_equal(before[where == 0], after[where == 0])
    assert main(["photo", str(source), str(tmp_path / "large.png"), "-q"]) == 0
    assert size(tmp_path / "large.png") == (192, 144)


def test_a_mask_painted_by_hand(tmp_path: Path) -> None:
    """As docs/photo.md says: with nothing sought, what is white is repaired and nothing else."""
    source, done, mask = save(tmp_path / "old.png"), tmp_path / "new.png", tmp_path / "painted.png"
    painted = np.zeros((72, 96), np.uint8)
    painted[30:40, 40:60] = 255
    cv2.imwrite(str(mask), painted)
    chosen = [f"retouch.{it}" for it in (f"mask_in={mask}", "lines=false", "specks=false")]
    sets = [word for one in chosen for word in ("--set", one)]
    assert main(["photo", str(source), str(done), "--no-upscale", "--skip", "refade", *sets, "-q"]) == 0
    before, after = (cv2.imread(str(path)) for path in (source, done))
    assert before is not None
    assert after is not None
    moved = (before != after).any(-1)
    assert moved[painted > 0].mean() > 0.5
    assert not moved[painted == 0].any()


def test_an_album(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    album, restored = tmp_path / "album", tmp_path / "restored"
    album.mkdir()
    for number, name in enumerate(("a.png", "b.jpg")):
        save(album / name, number)
    (album / "c.png").write_bytes(b"no picture at all")
    (album / "notes.txt").write_text("not a picture")
    assert main(["photo", str(album), str(restored), "--no-upscale", "-q"]) == 3
    assert "1 of 3" in capsys.readouterr().err
    assert sorted(path.name for path in restored.iterdir() if path.is_file()) == ["a.png", "b.jpg"]
    plans = list((restored / "a.png.restore" / "plan").glob("shot-*.json"))
    assert list(json.loads(plans[0].read_text())["stages"]) == ["1-refade"]


def test_an_album_of_every_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names with spaces, 16 bits, orientation and profile, grey, tiny: each comes out whole and as deep as it was."""
    album, restored, masks = tmp_path / "the old album", tmp_path / "done now", tmp_path / "its masks"
    album.mkdir()
    colour = cv2.imread(str(save(tmp_path / "made.png")))
    assert colour is not None
    cv2.imwrite(str(album / "aunt mary.tif"), colour.astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Crete, 1931"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned = album / "turned (1) é.jpg"
    Image.fromarray(colour).save(turned, exif=exif, icc_profile=profile, dpi=(300, 300), quality=95)
    cv2.imwrite(str(album / "grey one.png"), colour[:, :, 0])
    cv2.imwrite(str(album / "tiny.png"), colour[:8, :8])
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (album / "cut short.jpg").write_bytes(turned.read_bytes()[: turned.stat().st_size // 2])
    assert main(["photo", str(album), str(restored), "--no-upscale", "--mask-out", str(masks), "-q"]) == 3
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("restore: ")]
    assert len(said) == 3
    assert "broken.jpg" in said[0]
    assert "cut short.jpg" in said[1]
    assert "2 of 6" in said[2]
    done = ["aunt mary.tif", "grey one.png", "tiny.png", "turned (1) é.jpg"]
    assert sorted(path.name for path in restored.iterdir() if path.is_file()) == done
    assert sorted(path.stem for path in masks.iterdir() if path.is_file()) == [Path(name).stem for name in done]
    for name in done:
        before, after = (cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED) for folder in (album, restored))
        assert before is not None
        assert after is not None
        assert (before.shape, before.dtype) == (after.shape, after.dtype), name
    with Image.open(restored / turned.name) as kept:
        assert kept.getexif()[0x0112] == 6
        assert kept.getexif()[0x010E] == "Crete, 1931"
        assert kept.info["icc_profile"] == profile
        assert kept.info["dpi"] == (300, 300)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["{album}", "{album}"], 2, "written over"),
        (["{album}/a.png", "{album}/missing.png", "{out}"], 1, "no such picture"),
        (["{album}", "{out}.png"], 2, "folder"),
        (["{album}/a.png", "{out}/x.png", "--skip", "retouch", "--mask-out", "{out}/m.png"], 2, "no mask"),
        (["{empty}", "{out}"], 1, "no pictures"),
        (["{album}/film.mkv", "{out}"], 2, "no picture"),
        (["{album}", "{album}/a.png", "{out}"], 2, "both become"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    for name in ("album", "empty"):
        (tmp_path / name).mkdir()
    save(tmp_path / "album" / "a.png")
    (tmp_path / "album" / "film.mkv").write_bytes(b"")
    places = {name: str(tmp_path / name) for name in ("album", "empty", "out")}
    assert main(["photo", *(argument.format(**places) for argument in arguments)]) == status
    assert words in capsys.readouterr().err


def test_the_preset_as_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "photo.toml"
    assert main(["photo", "x.png", "y.png", "--set", "refade.keep_tint=true", "--write-recipe", str(path)]) == 0
    text = path.read_text()
    assert "keep_tint = true" in text
    assert text.index('"refade"') < text.index('"retouch"') < text.index('"upscale"')
