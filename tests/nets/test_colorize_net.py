"""Networks that propose colours: shapes, colours that survive their encoding, pictures that do not see each other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restore.nets.colorize import ColorizeNet, compress, expand
from restore.nets.efficientnet import EfficientNetLite
from restore.nets.zhang import Eccv16, Siggraph17


def cells(radius: int = 8) -> torch.Tensor:
    steps = torch.arange(-radius, radius + 1)
    return torch.cartesian_prod(steps, steps)


def random_net() -> ColorizeNet:
    torch.manual_seed(5)
    net = ColorizeNet(
        cells(), EfficientNetLite((4, 4, 6, 6, 8, 8, 12), (1, 1, 1, 2, 1, 1, 1), stem=4), widths=(6, 12, 24)
    )
    for part in net.encoder.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(part.weight)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return net.eval()


@torch.inference_mode()
def test_its_colours_have_an_eighth_of_the_size_and_depend_on_their_own_picture_alone() -> None:
    net = random_net()
    pictures = torch.rand(3, 1, 96, 160) * 100
    logits = net(pictures)
    assert logits.shape == (3, 17 * 17, 12, 20)
    for i in range(3):
        torch.testing.assert_close(net(pictures[i : i + 1]), logits[i : i + 1], atol=1e-4, rtol=1e-4)
    ab, spread = net.decode(logits)
    assert ab.shape == (3, 2, 12, 20)
    assert spread.shape == (3, 1, 12, 20)
    assert (spread >= 0).all()


@torch.inference_mode()
def test_it_sees_the_whole_picture() -> None:
    net = random_net()
    picture = torch.rand(1, 1, 64, 96) * 100
    changed = picture.clone()
    changed[..., :16, :16] = 100 - changed[..., :16, :16]
    assert (net(picture) - net(changed))[..., -1, -1].abs().max() > 1e-4


def test_a_colour_survives_its_encoding() -> None:
    net = random_net()
    ab = (torch.rand(2, 2, 5, 7) - 0.5) * 160
    index, weight = net.encode(compress(ab))
    assert torch.allclose(weight.sum(1), torch.ones(2, 5, 7))
    likely = torch.full((2, len(net.cells), 5, 7), 0.0).scatter_add_(1, index, weight)
    decoded, _ = net.decode(likely.clamp(min=1e-12).log())
    torch.testing.assert_close(decoded, ab, atol=0.02, rtol=1e-3)


def test_a_sure_network_is_louder_than_one_in_doubt() -> None:
    net = random_net()
    logits = torch.zeros(1, len(net.cells), 1, 1)
    logits[0, -1] = 3.0
    doubting, wide = net.decode(logits)
    leaning, narrow = net.decode(logits, temperature=0.4)
    assert leaning.norm() > doubting.norm()
    assert narrow < wide


@settings(max_examples=50, deadline=None)
@given(st.floats(-120, 120), st.floats(-120, 120))
def test_expanding_undoes_compressing(a: float, b: float) -> None:
    ab = torch.tensor((a, b)).view(1, 2, 1, 1)
    torch.testing.assert_close(expand(compress(ab)), ab, atol=1e-3, rtol=1e-4)
    assert compress(ab).norm() <= ab.norm() + 1e-4


@torch.inference_mode()
def test_sizes_are_read_off_the_weights() -> None:
    net = random_net()
    again = ColorizeNet.from_state(net.state_dict()).eval()
    picture = torch.rand(1, 1, 32, 32) * 100
    assert torch.equal(again(picture), net(picture))
    with pytest.raises(KeyError):
        ColorizeNet.from_state({"cells": cells()})


@torch.inference_mode()
@pytest.mark.parametrize(("kind", "reduction"), [(Eccv16, 4), (Siggraph17, 1)])
def test_published_layouts(kind: type, reduction: int) -> None:
    """Sizes in bytes are those of the published files, 123.0 and 130.5 MiB, less their headers."""
    torch.manual_seed(1)
    net = kind().eval()
    size = sum(t.numel() * t.element_size() for t in net.state_dict().values()) / 2**20
    assert size == pytest.approx(123.0 if kind is Eccv16 else 130.5, abs=0.15)
    pictures = torch.rand(2, 1, 64, 64) * 100
    ab = net(pictures)
    assert ab.shape == (2, 2, 64 // reduction, 64 // reduction)
    assert ab.abs().max() <= 110
    torch.testing.assert_close(net(pictures[1:]), ab[1:], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_siggraph17_heeds_hints() -> None:
    torch.manual_seed(1)
    net = Siggraph17().eval()
    picture = torch.full((1, 1, 64, 64), 50.0)
    hints, known = torch.zeros(1, 2, 64, 64), torch.zeros(1, 1, 64, 64)
    plain = net(picture)
    assert torch.equal(net(picture, hints, known), plain)
    hints[..., 32:36, 32:36], known[..., 32:36, 32:36] = 60.0, 1.0
    assert not torch.allclose(net(picture, hints, known), plain)
