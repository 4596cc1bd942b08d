"""The small upscaler: what it starts as, what folding and tiling must not change."""

import pytest
import torch
import torch.nn.functional as F

from restore.nets.reel import ReelUpscaler


def random_net(scale: int = 2, features: int = 8, depth: int = 3) -> ReelUpscaler:
    """A tiny network whose every weight matters: nothing left at its start."""
    torch.manual_seed(7)
    net = ReelUpscaler(scale, features, depth)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return net.eval()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_without_its_body_it_is_bicubic_interpolation(scale: int) -> None:
    net = ReelUpscaler(scale, features=8, depth=1)
    with torch.no_grad():
        net.convs[-1].weight.zero_()
        pixels = torch.rand(1, 3, 12, 10)
        large = net(pixels, torch.zeros(1, 3))
    reference = F.interpolate(pixels, scale_factor=scale, mode="bicubic", antialias=True)
    inside = (..., slice(3 * scale, -3 * scale), slice(3 * scale, -3 * scale))
    torch.testing.assert_close(large[inside], reference[inside], atol=2e-6, rtol=0)
    assert large.shape == (1, 3, 12 * scale, 10 * scale)


@pytest.mark.parametrize("scale", [2, 4])
def test_folded_is_the_same_network(scale: int) -> None:
    net = random_net(scale)
    pixels, degradation = torch.rand(2, 3, 9, 13), torch.tensor([0.3, 0.8, 0.1])
    with torch.no_grad():
        expected = net(pixels, degradation.expand(2, 3))
        other = net(pixels, torch.zeros(2, 3))
        found = net.folded(degradation)(pixels)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (other - expected).abs().max() > 1e-3, "the degradation vector changes nothing"


@torch.inference_mode()
def test_tiles_with_the_receptive_field_as_overlap_give_the_same_pixels() -> None:
    net = random_net().folded(torch.tensor([0.2, 0.2, 0.2]))
    overlap = net.receptive_field
    pixels = torch.rand(1, 3, 40, 48)
    whole = net(pixels)
    tile = net(pixels[..., 12 - overlap : 24 + overlap, 16 - overlap : 32 + overlap])
    inside = tile[..., 2 * overlap : -2 * overlap, 2 * overlap : -2 * overlap]
    torch.testing.assert_close(inside, whole[..., 24:48, 32:64], atol=1e-6, rtol=0)


def test_receptive_field_is_exactly_what_an_output_pixel_sees() -> None:
    net = random_net(depth=2)
    pixels = torch.rand(1, 3, 21, 21, requires_grad=True)
    net(pixels, torch.zeros(1, 3))[0, :, 20:22, 20:22].sum().backward()
    rows = pixels.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert 10 - rows.min() == rows.max() - 10 == net.receptive_field


@torch.inference_mode()
def test_batches_change_nothing() -> None:
    net = random_net().folded(torch.zeros(3))
    pixels = torch.rand(4, 3, 16, 16)
    one_by_one = torch.cat([net(frame) for frame in pixels.split(1)])
    torch.testing.assert_close(net(pixels), one_by_one, atol=1e-6, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3)])
def test_the_smallest_pictures_work(size: tuple[int, int]) -> None:
    large = random_net().folded(torch.ones(3))(torch.rand(1, 3, *size))
    assert large.shape[-2:] == (2 * size[0], 2 * size[1])
    assert large.isfinite().all()


@torch.inference_mode()
def test_bfloat16_leaves_the_skip_in_float32() -> None:
    """Ten bits through a network in bf16: as many levels come out as went in."""
    net = ReelUpscaler(2, features=8, depth=1)
    net.convs[-1].weight.zero_()
    ramp = torch.linspace(0, 1, 1024).repeat(3, 8, 1)[None]
    large = net.folded(torch.zeros(3)).set_precision(torch.bfloat16)(ramp)
    assert large.dtype == torch.float32
    assert len((large[0, 0, 8] * 1023).round().unique()) >= 1000


def test_its_shape_is_read_off_its_weights() -> None:
    net = random_net(scale=4, features=16, depth=2)
    again = ReelUpscaler.from_state(net.state_dict())
    assert (again.scale, again.features, again.depth) == (4, 16, 2)
    with pytest.raises((KeyError, RuntimeError)):
        ReelUpscaler.from_state({"other": torch.zeros(3)})
