"""What scripts/bench_reage.py measures with, on faces made here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("skimage")


@pytest.fixture(scope="module")
def scripts() -> Iterator[Any]:
    """The bench's modules, imported as scripts see each other."""
    folder = str(Path(__file__).parents[2] / "scripts")
    sys.path.insert(0, folder)
    import reage_ages
    import reage_measures

    yield type("Modules", (), {"ages": reage_ages, "measures": reage_measures})
    sys.path.remove(folder)


POINTS = np.array([(120.0, 130.0), (184.0, 130.0), (152.0, 169.0), (126.0, 200.0), (178.0, 200.0)])


@pytest.fixture
def face() -> Tensor:
    """Skin: a broad shade, wrinkles, pores."""
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[0:320, 0:304]
    plane = 0.5 + 0.05 * np.sin(columns / 60) + 0.03 * np.sin(rows / 2.5) + random.normal(0, 0.02, rows.shape)
    return torch.from_numpy(plane.astype(np.float32)).expand(3, -1, -1).contiguous()


def test_face_units(scripts: Any) -> None:
    x, y, unit = scripts.measures.face_units(POINTS, 320, 304)
    assert unit == pytest.approx(64, rel=0.03)
    assert (x[130, 152], y[130, 152]) == pytest.approx((0, 0), abs=0.03)
    assert (x[130, 184], y[194, 152]) == pytest.approx((0.5, 1.0), abs=0.05)


def test_texture_is_what_is_finest(face: Tensor, scripts: Any) -> None:
    kept = scripts.measures.texture_kept
    assert kept(face, face, POINTS) == pytest.approx(1)
    assert kept(face, face + 0.1, POINTS) == pytest.approx(1, abs=1e-3), "lighter skin has the same pores"
    rows = torch.arange(320.0)[None, :, None]
    assert kept(face, face - 0.03 * torch.sin(rows / 2.5), POINTS) > 0.75, "wrinkles are hardly among them"
    blurred = torch.from_numpy(cv2.GaussianBlur(face.permute(1, 2, 0).numpy(), (0, 0), 2.5)).permute(2, 0, 1)
    assert kept(face, blurred, POINTS) < 0.05
    halfway = torch.lerp(face, blurred, 0.5)
    assert 0.15 < kept(face, halfway, POINTS) < 0.45


def test_as_much_of_a_delta_as_leaves_the_texture_wanted(face: Tensor, scripts: Any) -> None:
    measures = scripts.measures
    delta = torch.from_numpy(cv2.GaussianBlur(face.permute(1, 2, 0).numpy(), (0, 0), 2.5)).permute(2, 0, 1) - face
    for wanted in (0.3, 0.7, 1.0, 1.4):
        amount = measures.amount_at_texture(face, delta, POINTS, wanted)
        assert measures.texture_kept(face, face + amount * delta, POINTS) == pytest.approx(wanted, rel=0.02)
        assert (amount > 0) == (wanted < 1) or wanted == 1.0
    assert measures.amount_at_texture(face, 0 * delta, POINTS, 0.7) == 0


def test_skin_leaves_eyes_and_mouth_out(face: Tensor, scripts: Any) -> None:
    where = scripts.measures.skin(face, POINTS)
    assert where[95, 152], "the forehead"
    assert where[175, 115], "a cheek"
    for x, y in [*POINTS[[0, 1]].astype(int).tolist(), [152, 200], [5, 5]]:
        assert not where[y, x]


def test_identity_sees_eyes_and_mouth_alone(face: Tensor, scripts: Any) -> None:
    same = scripts.measures.identity
    assert same(face, face, POINTS) == pytest.approx(1)
    elsewhere = face.clone()
    elsewhere[:, 260:] = 0
    assert same(face, elsewhere, POINTS) == pytest.approx(1, abs=1e-3)
    covered = face.clone()
    covered[:, 115:150] = 0.1
    assert same(face, covered, POINTS) < 0.85


def test_change_along_motion_forgives_motion_only(scripts: Any) -> None:
    random = np.random.default_rng(5)
    texture = cv2.GaussianBlur(random.random((200, 240), np.float32), (0, 0), 2)
    texture = (texture - texture.min()) / (texture.max() - texture.min())
    film = [torch.from_numpy(np.roll(texture, 3 * n, 1)).expand(3, -1, -1) for n in range(2)]
    delta = torch.from_numpy(cv2.GaussianBlur(random.random((200, 240), np.float32), (0, 0), 6) - 0.5) * 0.3
    deltas = [delta.roll(3 * n, 1).expand(3, -1, -1) for n in range(2)]
    where = np.zeros((200, 240), bool)
    where[40:160, 40:200] = True
    change = scripts.measures.change_along_motion
    with_motion = change(tuple(film), tuple(deltas), where)
    assert with_motion < 0.25 * change(tuple(film), (deltas[0], deltas[0]), where), (
        "it stands still while the face moves"
    )
    flicker = change(tuple(film), (deltas[0], deltas[1] + 4 / 255), where)
    assert flicker == pytest.approx(4, abs=0.5)


def test_ssrnet_has_the_published_layout(scripts: Any, tmp_path: Path) -> None:
    """Written as Keras writes it and read again; the pictures' size and the stages fit together."""
    h5py = pytest.importorskip("h5py")
    random = np.random.default_rng(1)
    net = scripts.ages.SSRNet()
    layers = {"conv2d": 14, "dense": 9, "batch_normalization": 8}
    shapes = {f"conv2d_{n}": (3, 3, 32 if n > 1 else 3, 32) for n in range(1, 5)}
    shapes |= {f"conv2d_{n}": (3, 3, 16 if n > 5 else 3, 16) for n in range(5, 9)}
    shapes |= {f"conv2d_{n}": (1, 1, 16 if n % 2 else 32, 10) for n in range(9, 15)}
    for stage, places in ((0, 160), (1, 90), (2, 90)):
        shapes |= {f"dense_{3 * stage + 1}": (places, 3), f"dense_{3 * stage + 2}": (places, 3)}
        shapes |= {f"dense_{3 * stage + 3}": (3, 6), f"delta_s{stage + 1}": (places, 1)}
        shapes |= {f"pred_age_stage{stage + 1}": (6, 3), f"local_delta_stage{stage + 1}": (6, 3)}
    with h5py.File(tmp_path / "net.h5", "w") as file:
        for name, shape in shapes.items():
            group = file.create_group(f"{name}/{name}")
            group["kernel:0"] = random.normal(0, 0.1, shape)
            group["bias:0"] = random.normal(0, 0.1, shape[-1])
        for n in range(1, layers["batch_normalization"] + 1):
            group = file.create_group(f"batch_normalization_{n}/batch_normalization_{n}")
            for key in ("gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"):
                group[key] = random.random(32 if n < 5 else 16)
        kernel = np.asarray(file["conv2d_1/conv2d_1/kernel:0"])
    net = scripts.ages.load_ssrnet(tmp_path / "net.h5")
    assert np.allclose(net.quick.convolutions[0].weight[4, 1], kernel[:, :, 1, 4])
    years = net(torch.rand(3, 3, 64, 64) * 255)
    assert years.shape == (3,)
    assert torch.isfinite(years).all()


def test_estimates_follow_birth_dates_of_real_faces(scripts: Any) -> None:
    """Twelve portraits: half of them under 50, half over 70."""
    import csv
    import os

    material = Path(os.environ.get("RESTORE_TEST_MATERIAL", Path(__file__).parents[2].parent / "shared" / "test"))
    if not (material / "weights" / "ssrnet_imdb.h5").is_file():
        pytest.skip("RESTORE_TEST_MATERIAL names no folder with the age estimators")
    pytest.importorskip("h5py")
    from restore.faces.yunet import YuNetDetector

    with (material / "images" / "us-senate.csv").open(newline="", encoding="utf-8") as file:
        born = {Path(row["photo_url"]).stem: row["date_of_birth"] for row in csv.DictReader(file)}
    listed = sorted((born[path.stem], path) for path in (material / "images" / "senate_1024").glob("*.jpg")
                    if born.get(path.stem))  # fmt: skip
    estimator = scripts.ages.AgeEstimator(material / "weights")
    detector = YuNetDetector(material / "weights" / "yunet_n_640_640.onnx")
    years = []
    for _, path in (*listed[:6], *listed[-6:]):
        picture = cv2.imread(str(path))[..., ::-1].copy()
        box = detector.find(picture)[0].box
        years.append(estimator.years(torch.from_numpy(picture).permute(2, 0, 1).float() / 255, box))
    assert np.mean(years[:6]) > np.mean(years[6:]) + 5
