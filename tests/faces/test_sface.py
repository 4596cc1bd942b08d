"""SFace's form with random weights: what the project does with such a network. The published weights are not needed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from material.faces import still

from restore.errors import OptionError, WeightsError
from restore.faces.choose import likeness_to, portrayed
from restore.faces.haar import HaarDetector
from restore.faces.identify import SFaceEmbedder
from restore.faces.wanted import Wanted
from restore.stages.reage import actor

# ONNX is protocol buffers; a handful of fields is all that a small network takes (onnx.proto, IR version 8).


def number(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def field(place: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return number(place << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(place << 3 | 2) + number(len(data)) + data


def node(kind: str, inputs: list[str], output: str, **attributes: list[int]) -> bytes:
    said = b"".join(
        field(5, field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7))
        for name, values in attributes.items()
    )
    return field(1, b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind) + said)


def tensor(name: str, values: np.ndarray) -> bytes:
    dims = b"".join(field(1, size) for size in values.shape)
    return field(5, dims + field(2, 1) + field(8, name) + field(9, values.astype("<f4").tobytes()))


def described(place: int, name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(field(1, field(1, size)) for size in shape)
    return field(place, field(1, name) + field(2, field(1, field(1, 1) + field(2, dims))))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """(1, 3, 112, 112) RGB, 0 to 255, to (1, 128), as SFace's."""
    random = np.random.default_rng(1)
    graph = (
        node("Conv", ["data", "w", "b"], "seen", kernel_shape=[8, 8], strides=[8, 8])
        + node("Relu", ["seen"], "bent")
        + node("Flatten", ["bent"], "flat")
        + node("Gemm", ["flat", "v", "c"], "fc1")
        + field(2, "small")
        + tensor("w", random.normal(0, 0.02, (4, 3, 8, 8))) + tensor("b", np.zeros(4))
        + tensor("v", random.normal(0, 0.1, (4 * 14 * 14, 128))) + tensor("c", np.zeros(128))
        + described(11, "data", (1, 3, 112, 112)) + described(12, "fc1", (1, 128))
    )  # fmt: skip
    path = tmp_path_factory.mktemp("sface") / "sface.onnx"
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13)))
    return path


def points_of(picture: np.ndarray) -> np.ndarray:
    return portrayed(picture, "picture", HaarDetector()).points


def test_a_face_is_a_direction_wherever_it_lies(weights: Path) -> None:
    embedder = SFaceEmbedder(weights)
    picture = still([(160, 120, 110)])
    points = points_of(picture)
    vector = embedder.embed(picture, points)
    assert vector.shape == (128,)
    assert np.linalg.norm(vector) == pytest.approx(1)
    moved = np.roll(picture, (7, -12), (0, 1))
    assert float(vector @ embedder.embed(moved, points + np.array((-12, 7)))) > 0.999
    turned = cv2.getRotationMatrix2D((160.0, 120.0), 20, 0.9)
    there = points @ turned[:, :2].T + turned[:, 2]
    leaning = cv2.warpAffine(picture, turned, (320, 240), borderMode=cv2.BORDER_REPLICATE)
    assert float(vector @ embedder.embed(leaning, there)) > 0.98
    assert likeness_to(vector, [vector], embedder) == pytest.approx(1 / SFaceEmbedder.alike)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x08"])
def test_what_is_no_network_is_refused(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sface.onnx"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"OpenCV cannot use it as an SFace network"):
        SFaceEmbedder(path)
    assert "ERROR" not in capfd.readouterr().err


def test_a_photograph_chooses_among_people(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = SFaceEmbedder(weights)
    photo, picture = tmp_path / "ann.png", still([(160, 120, 110)])
    cv2.imwrite(str(photo), picture[..., ::-1])
    ann = actor.photographed(photo, embedder, "haar")
    assert ann == pytest.approx(embedder.embed(picture, points_of(picture)), abs=1e-6)
    away = np.roll(ann, 1) - (np.roll(ann, 1) @ ann) * ann
    faces = [
        {"frames": [0, 9], "largest": 90.0, "identity": list(away / np.linalg.norm(away))},
        {"frames": [0, 9], "largest": 90.0, "identity": list(ann)},
    ]
    found = [{"length": 9, "faces": faces, "alike": embedder.alike}]
    monkeypatch.setattr(actor, "choose_embedder", lambda: embedder)
    assert actor.chosen(found, Wanted.parse(str(photo), None), detector="haar") == [[1]]
    monkeypatch.setattr(actor, "choose_embedder", lambda: None)
    with pytest.raises(OptionError, match="restore models pull sface"):
        actor.chosen(found, Wanted.parse(str(photo), None), detector="haar")
