"""Networks that propose colours, as the stage sees them: sizes, ranges, batches, hints; random weights will do."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from torch import nn

from restore.nets.colorize import ColorizeNet
from restore.nets.efficientnet import EfficientNetLite
from restore.nets.zhang import Eccv16, Siggraph17
from restore.pipeline.contract import Device
from restore.stages.colorize.networks import open_proposer
from restore.stages.colorize.proposer import ColorHints, Proposer
from restore.zoo.coloring import ColorNetwork, Layout

CPU = Device(torch.device("cpu"), "fp32")


@functools.cache
def random_module(layout: Layout) -> nn.Module:
    torch.manual_seed(4)
    if layout == "ddcolor":
        extra = pytest.importorskip("spandrel_extra_arches.architectures.DDColor")
        module = extra.DDColor(
            encoder_name="convnext-t", input_size=(64, 64), num_output_channels=2, last_norm="Spectral", num_queries=9
        )
    elif layout == "reel":
        steps = torch.arange(-6, 7)
        encoder = EfficientNetLite((4, 4, 6, 6, 8, 8, 12), (1,) * 7, stem=4)
        module = ColorizeNet(torch.cartesian_prod(steps, steps), encoder, widths=(8, 16, 32))
    else:
        module = Eccv16() if layout == "eccv16" else Siggraph17()
    return module.float().eval().requires_grad_(False)


def proposer(layout: Layout, device: Device = CPU) -> Proposer:
    module = random_module(layout)
    known = {"id": layout, "tensor_sha256": "", "file_sha256": "", "licence": "MIT", "path": Path()}
    return open_proposer(ColorNetwork(module=module, layout=layout, **known), device)


def pictures(size: tuple[int, int], count: int = 3) -> torch.Tensor:
    return torch.rand(count, 1, *size, generator=torch.Generator().manual_seed(2)) * 100


@pytest.mark.parametrize(
    ("layout", "size"),
    [("reel", (256, 352)), ("eccv16", (256, 256)), ("siggraph17", (256, 256)), ("ddcolor", (512, 512))],
)
def test_each_has_its_own_input_size(layout: Layout, size: tuple[int, int]) -> None:
    assert proposer(layout).input_size(480, 640) == size


@pytest.mark.parametrize("shape", [(480, 640), (640, 480), (1080, 1920), (2160, 3840), (100, 1000), (20, 20)])
def test_ours_keeps_the_shape_of_the_picture(shape: tuple[int, int]) -> None:
    height, width = proposer("reel").input_size(*shape)
    assert height % 32 == width % 32 == 0
    assert 32 <= min(height, width) <= 256
    assert max(height, width) <= 512
    if max(shape) < 2 * min(shape):
        assert height / width == pytest.approx(shape[0] / shape[1], rel=0.07)


@pytest.mark.parametrize("layout", ["reel", "eccv16", "siggraph17", "ddcolor"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_batch_is_its_pictures_one_by_one(layout: Layout, precision: str) -> None:
    network = proposer(layout, Device(torch.device("cpu"), precision))  # type: ignore[arg-type]
    shown = pictures((64, 96), 2)  # smaller than they ask for, for speed
    together = network.propose(shown)
    assert together.ab.shape[:2] == (2, 2)
    assert together.ab.dtype == torch.float32
    assert together.ab.isfinite().all()
    if layout != "ddcolor":
        assert together.ab.abs().max() <= 130
    size = float(together.ab.abs().max())
    for i in range(2):
        alone = network.propose(shown[i : i + 1])
        tolerance = (1e-4 if precision == "fp32" else 0.05) * size
        torch.testing.assert_close(alone.ab, together.ab[i : i + 1], atol=tolerance, rtol=0)
    if together.confidence is not None:
        assert together.confidence.shape == (2, 1, *together.ab.shape[2:])
        assert 0 <= together.confidence.min() <= together.confidence.max() <= 1


@pytest.mark.parametrize("layout", ["reel", "eccv16", "siggraph17", "ddcolor"])
def test_the_same_picture_gives_the_same_colours(layout: Layout) -> None:
    network, shown = proposer(layout), pictures((64, 64), 1)
    assert torch.equal(network.propose(shown).ab, network.propose(shown).ab)


def test_ours_sees_no_left_and_right() -> None:
    network, shown = proposer("reel"), pictures((64, 96), 1)
    mirrored = network.propose(shown.flip(3)).ab.flip(3)
    torch.testing.assert_close(mirrored, network.propose(shown).ab, atol=1e-4, rtol=1e-4)


def test_only_siggraph17_takes_hints() -> None:
    shown = pictures((64, 64), 1)
    ab, known = torch.full((1, 2, 64, 64), 40.0), torch.zeros(1, 1, 64, 64)
    unknown = ColorHints(ab, known)  # colours where nothing is known do not count
    some = ColorHints(ab, torch.where(torch.arange(64) < 8, 1.0, known))
    for layout in ("reel", "eccv16", "siggraph17"):
        network = proposer(layout)  # type: ignore[arg-type]
        plain = network.propose(shown).ab
        torch.testing.assert_close(network.propose(shown, unknown).ab, plain)
        assert network.takes_hints == (layout == "siggraph17")
        assert torch.equal(network.propose(shown, some).ab, plain) != network.takes_hints
