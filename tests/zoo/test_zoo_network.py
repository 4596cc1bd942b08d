from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from restore import zoo
from restore.errors import DownloadError, OptionError, UnknownModelError, WeightsError
from restore.zoo.spec import ModelSpec
from restore.zoo.table import MODELS

MakeState = Callable[[int], dict[str, Tensor]]
MakeSpec = Callable[..., ModelSpec]


@pytest.fixture
def pair(
    make_spec: MakeSpec, tiny_state: MakeState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[ModelSpec, ModelSpec]:
    """Two models in the table that can be blended, served by the test server."""
    contents = []
    for seed in (1, 2):
        torch.save({"params": tiny_state(seed)}, tmp_path / "state.pth")
        contents.append((tmp_path / "state.pth").read_bytes())
    second = make_spec(contents[1], "tiny-wdn", kind="companion", state_dict_key="params")
    first = make_spec(contents[0], "tiny", blend_with="tiny-wdn", state_dict_key="params")
    monkeypatch.setitem(MODELS, "tiny", first)
    monkeypatch.setitem(MODELS, "tiny-wdn", second)
    return first, second


def test_a_network_is_fetched_checked_and_built(pair: tuple[ModelSpec, ModelSpec], server: Any) -> None:
    network = zoo.load_network("tiny")
    assert (network.id, network.scale, network.licence) == ("tiny", 2, "MIT")
    assert (network.input_channels, network.output_channels, network.conditions) == (3, 3, 0)
    assert network.file_sha256 == pair[0].sha256 == hashlib.sha256(network.path.read_bytes()).hexdigest()
    assert not network.module.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in network.module.parameters())
    assert network.module(torch.rand(2, 3, 5, 7)).shape == (2, 3, 10, 14)
    assert [path for path, _ in server.requests] == ["/tiny.pth"]


def test_without_download_a_missing_network_is_an_error(pair: tuple[ModelSpec, ModelSpec], server: Any) -> None:
    with pytest.raises(WeightsError, match="restore models pull tiny"):
        zoo.load_network("tiny", download=False)
    assert not server.requests


def test_weights_changed_on_disk_are_refused(pair: tuple[ModelSpec, ModelSpec]) -> None:
    path = zoo.pull("tiny")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(WeightsError, match="SHA-256"):
        zoo.load_network("tiny")


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0, None])
def test_the_denoise_blend(pair: tuple[ModelSpec, ModelSpec], tiny_state: MakeState, strength: float | None) -> None:
    weight = 1.0 if strength is None else strength
    first, second = tiny_state(1), tiny_state(2)
    state = zoo.load_network("tiny", denoise_strength=strength).module.state_dict()
    for name, tensor in state.items():
        torch.testing.assert_close(tensor, weight * first[name] + (1 - weight) * second[name], rtol=0, atol=1e-7)


def test_the_companion_is_fetched_only_when_needed(pair: tuple[ModelSpec, ModelSpec], server: Any) -> None:
    full = zoo.load_network("tiny", denoise_strength=1)
    assert len(server.requests) == 1
    half = zoo.load_network("tiny", denoise_strength=0.5)
    assert len(server.requests) == 2
    assert full.tensor_sha256 != half.tensor_sha256
    assert full.file_sha256 == half.file_sha256


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_denoise_strength_out_of_range(pair: tuple[ModelSpec, ModelSpec], strength: float) -> None:
    with pytest.raises(OptionError, match="0 to 1"):
        zoo.load_network("tiny", denoise_strength=strength)


def test_a_model_without_a_blend_has_no_denoise_strength(server: Any) -> None:
    with pytest.raises(OptionError, match="only realesr-general-x4v3"):
        zoo.load_network("realesr-animevideov3", denoise_strength=0.5)


def test_names_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="did you mean realesr-general-x4v3"):
        zoo.load_network("realesr-genral-x4v3")
    with pytest.raises(UnknownModelError, match="restore models list"):
        zoo.load_network("zzz")
    with pytest.raises(UnknownModelError, match="no weights file at"):
        zoo.load_network(tmp_path / "absent.pth")
    with pytest.raises(UnknownModelError, match="is a folder"):
        zoo.load_network(tmp_path)
    with pytest.raises(OptionError, match="cannot upscale"):
        zoo.load_network("reel-degradation")


def test_letter_case_does_not_count() -> None:
    assert zoo.get("realesrgan_X4PLUS").id == "RealESRGAN_x4plus"


def test_a_network_that_does_not_enlarge_is_refused(tmp_path: Path) -> None:
    from spandrel.architectures.Compact import Compact

    torch.save(Compact(num_feat=4, num_conv=1, upscale=1).state_dict(), tmp_path / "denoiser.pth")
    with pytest.raises(WeightsError, match="does not upscale"):
        zoo.load_network(tmp_path / "denoiser.pth")
    torch.save({"body.0.weight": torch.ones(2), "body.1.weight": torch.ones(2)}, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match="resembles a known network"):
        zoo.load_network(tmp_path / "odd.pth")


def _networks() -> list[nn.Module]:
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.ESRGAN import ESRGAN

    return [
        Compact(num_feat=4, num_conv=1, upscale=2),
        Compact(num_feat=4, num_conv=5, upscale=4),
        ESRGAN(num_filters=4, num_blocks=1, scale=2),
        ESRGAN(num_filters=4, num_blocks=2, scale=4),
        ESRGAN(num_filters=4, num_blocks=1, scale=4, in_nc=12, shuffle_factor=2),
    ]


@pytest.mark.parametrize("index", range(5))
def test_the_receptive_field_is_what_an_undefined_pixel_reaches(index: int, tmp_path: Path) -> None:
    torch.save(_networks()[index].state_dict(), tmp_path / "network.pth")
    network = zoo.load_network(tmp_path / "network.pth")
    assert network.receptive_field is not None
    size = 2 * network.receptive_field + 16
    reach = 0
    for centre in range(size // 2, size // 2 + 2 * network.multiple_of):
        picture = torch.rand(1, 3, 8, size)
        picture[..., centre] = float("nan")
        columns = network.module(picture).isnan().any(dim=(0, 1, 2)).nonzero().flatten() // network.scale
        reach = max(reach, int((columns - centre).abs().max()))
    assert reach == network.receptive_field


def test_published_networks_load(material: Path) -> None:
    network = zoo.load_network(material / "realesr-animevideov3.pth")
    assert (network.scale, network.receptive_field, network.licence) == (4, 18, "BSD-3-Clause")
    assert "re-saved" in network.note
    general = zoo.load_network(material / "realesr-general-x4v3.fp16-copy.pth")
    assert general.receptive_field == 34
    assert "half precision" in general.note


def test_a_network_spandrel_does_not_know(material: Path) -> None:
    with pytest.raises(WeightsError, match="not a network this version knows"):
        zoo.load_network(material / "unsupported_safmn.pth")


@pytest.mark.parametrize("model", [spec.id for spec in MODELS.values() if spec.bundled])
def test_bundled_models_are_whole(model: str) -> None:
    if zoo.resolve(model).path is None:
        pytest.skip(f"no weights of {model} in this checkout")
    assert zoo.verify(model).status == "ok"
    if zoo.get(model).kind == "upscale":
        network = zoo.load_network(model)
        assert network.scale == zoo.get(model).scale
        enlarged = network.module(torch.rand(1, 3, 12, 10), torch.rand(1, network.conditions))
        assert enlarged.shape == (1, 3, 12 * network.scale, 10 * network.scale)


def test_a_reel_of_ones_own_training_loads_by_path(tmp_path: Path) -> None:
    reel = pytest.importorskip("restore.nets.reel")
    torch.manual_seed(0)
    own = reel.ReelUpscaler(scale=2, features=8, depth=2)
    save_file(own.state_dict(), tmp_path / "own.safetensors")
    network = zoo.load_network(tmp_path / "own.safetensors")
    assert (network.scale, network.conditions, network.receptive_field) == (2, 3, own.receptive_field)
    picture, degradation = torch.rand(1, 3, 6, 6), torch.rand(1, 3)
    assert torch.equal(network.module(picture, degradation), own.eval()(picture, degradation))
    save_file({**own.state_dict(), "skip.weight": torch.ones(3)}, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match="resembles"):
        zoo.load_network(tmp_path / "odd.safetensors")


def test_every_spec_is_complete() -> None:
    for spec in MODELS.values():
        assert spec.purpose
        assert spec.licence.url
        assert spec.precisions[0] == "float32"
        if spec.blend_with:
            assert MODELS[spec.blend_with].kind == "companion"
        if spec.bundled:
            assert not spec.urls
            continue
        if spec.sha256 is None:
            assert not spec.urls, "what has no hash is not fetched"
            continue
        assert spec.bytes or spec.id in ("eccv16", "siggraph17")  # nobody states these two files' exact size
        assert spec.sha256 is not None
        assert len(spec.sha256) == 64
        assert spec.sha_confirmations
        # Some are published under names that several models share, and kept under one of their own
        kept = Path(spec.file_name).suffix
        assert all(url.startswith("https://") and url.endswith(kept) for url in spec.urls)
    files = [spec.file_name.casefold() for spec in MODELS.values()]
    assert len(files) == len(set(files))
    assert replace(MODELS["reel-x2"], id="x").id == "x"


def test_nobody_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTORE_MIRROR", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("restore.zoo.transfer.time.sleep", lambda seconds: None)
    with pytest.raises(DownloadError) as caught:
        zoo.load_network("realesr-animevideov3")
    assert "\n" not in str(caught.value)
