"""Colorization networks through the zoo: found by their tensors, checked by their hashes, wrong files refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from restore import zoo
from restore.errors import OptionError, WeightsError
from restore.nets.colorize import ColorizeNet
from restore.nets.efficientnet import EfficientNetLite
from restore.nets.zhang import Eccv16, Siggraph17
from restore.zoo.spec import ModelSpec
from restore.zoo.table import MODELS

MakeSpec = Callable[..., ModelSpec]


def tiny() -> ColorizeNet:
    torch.manual_seed(3)
    steps = torch.arange(-3, 4)
    encoder = EfficientNetLite((4,) * 7, (1,) * 7, stem=4)
    return ColorizeNet(torch.cartesian_prod(steps, steps), encoder, widths=(4, 8, 8)).eval()


@pytest.fixture
def known(make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Any) -> ModelSpec:
    """A colorization network in the table, published on the test server."""
    torch.save(tiny().state_dict(), tmp_path / "net.pth")
    spec = make_spec((tmp_path / "net.pth").read_bytes(), "tiny-colour", kind="colorize")
    monkeypatch.setitem(MODELS, "tiny-colour", spec)
    return spec


def test_a_network_is_fetched_checked_and_built(known: ModelSpec) -> None:
    network = zoo.load_color_network("tiny-colour")
    assert (network.layout, network.id, network.licence) == ("reel", "tiny-colour", "MIT")
    assert network.file_sha256 == known.sha256 == hashlib.sha256(network.path.read_bytes()).hexdigest()
    assert all(not p.requires_grad for p in network.module.parameters())
    picture = torch.rand(1, 1, 32, 64) * 100
    assert torch.equal(network.module(picture), tiny()(picture))


def test_weights_changed_on_disk_are_refused(known: ModelSpec) -> None:
    path = zoo.pull("tiny-colour")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(WeightsError, match="SHA-256"):
        zoo.load_color_network("tiny-colour")


@pytest.mark.parametrize("name", ["eccv16", "siggraph17", "ddcolor", "ddcolor-artistic"])
def test_another_file_under_a_published_name_is_refused(name: str, server: Any, tmp_path: Path) -> None:
    """Even one with the right names and shapes: only the published bytes are taken."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    torch.save(tiny().state_dict(), mirror / zoo.get(name).file_name)
    with pytest.raises(WeightsError, match="refused and set aside"):
        zoo.pull(name, mirror=str(mirror))
    with pytest.raises(WeightsError, match=f"restore models pull {name}"):
        zoo.load_color_network(name, download=False)


@torch.inference_mode()
@pytest.mark.parametrize(("kind", "layout"), [(Eccv16, "eccv16"), (Siggraph17, "siggraph17")])
def test_published_layouts_are_recognised(kind: type, layout: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = kind().eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    network = zoo.load_color_network(tmp_path / "net.pth")
    assert network.layout == layout
    picture = torch.rand(1, 1, 32, 32) * 100
    assert torch.equal(network.module(picture), net(picture))
    state = net.state_dict()
    del state["model5.0.bias"]
    torch.save(state, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=f"resembles a {layout} network"):
        zoo.load_color_network(tmp_path / "short.pth")


def ddcolor_state() -> dict[str, Tensor]:
    """Random weights in DDColor's smallest published layout."""
    extra = pytest.importorskip("spandrel_extra_arches.architectures.DDColor")
    torch.manual_seed(0)
    net = extra.DDColor(
        encoder_name="convnext-t", input_size=(64, 64), num_output_channels=2, last_norm="Spectral", num_queries=100
    )
    state: dict[str, Tensor] = net.state_dict()
    return state


@torch.inference_mode()
def test_ddcolor_takes_a_batch(tmp_path: Path) -> None:
    state = ddcolor_state()
    torch.save({"params": state}, tmp_path / "ddcolor.pth")
    network = zoo.load_color_network(tmp_path / "ddcolor.pth")
    assert network.layout == "ddcolor"
    pictures = torch.rand(2, 1, 64, 64).expand(-1, 3, -1, -1)
    ab = network.module(pictures)
    assert ab.shape == (2, 2, 64, 64)
    alone = network.module(pictures[1:])  # of any size: nothing tames random weights
    torch.testing.assert_close(alone, ab[1:], atol=float(1e-4 * ab.abs().max()), rtol=0)
    del state["decoder.layers.0.shuf.conv.0.weight_orig"]
    torch.save(state, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match="resembles DDColor"):
        zoo.load_color_network(tmp_path / "short.pth")


def test_networks_for_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="does not colorize"):
        zoo.load_color_network("reel-x2")
    with pytest.raises(OptionError, match="cannot upscale"):
        zoo.load_network("reel-colorize")
    save_file({"weight": torch.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="not a colorization network"):
        zoo.load_color_network(tmp_path / "other.safetensors")


def test_a_damaged_network_of_ours_is_refused(tmp_path: Path) -> None:
    state = tiny().state_dict()
    save_file({**state, "head.weight": torch.ones(3, 4, 1, 1)}, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match="resembles a reel network"):
        zoo.load_color_network(tmp_path / "odd.safetensors")


def test_a_network_of_ones_own_is_imported(tmp_path: Path) -> None:
    save_file(tiny().state_dict(), tmp_path / "mine.safetensors")
    imported = zoo.import_file(tmp_path / "mine.safetensors")
    assert (imported.id, imported.scale) == ("mine", None)
    assert zoo.verify("mine").status == "ok"
    assert zoo.load_color_network("mine").layout == "reel"
    with pytest.raises(WeightsError):
        zoo.load_network("mine")
