"""The U-Net that re-ages: its published form, what it may and may not do."""

from __future__ import annotations

import pytest
import torch

from restore.nets.fran import KEYS, PUBLISHED, BlurPool, ReagingUNet

WIDTHS = (4, 8, 16, 32, 64)


def tiny(seed: int = 0) -> ReagingUNet:
    torch.manual_seed(seed)
    return ReagingUNet(WIDTHS).eval()


def test_published_form() -> None:
    """31.0 million weights under the names of the open reproduction's checkpoint."""
    with torch.device("meta"):
        net = ReagingUNet()
    assert net.widths == PUBLISHED
    assert sum(p.numel() for p in net.parameters()) == 31_033_027
    state = net.state_dict()
    assert state.keys() >= KEYS
    shapes = {name: tuple(state[name].shape) for name in (
        "init_conv.0.weight", "down1.layer.1.filt", "down4.layer.4.bias", "up1.blur_upsample.0.weight",
        "up1.blur_upsample.1.filt", "up1.layer.0.weight", "final_conv.weight",
    )}  # fmt: skip
    assert shapes == {
        "init_conv.0.weight": (64, 5, 3, 3), "down1.layer.1.filt": (64, 1, 4, 4), "down4.layer.4.bias": (1024,),
        "up1.blur_upsample.0.weight": (1024, 512, 2, 2), "up1.blur_upsample.1.filt": (512, 1, 4, 4),
        "up1.layer.0.weight": (512, 1024, 3, 3), "final_conv.weight": (3, 64, 1, 1),
    }  # fmt: skip


@torch.inference_mode()
@pytest.mark.parametrize("size", [(32, 32), (48, 80)])
def test_a_delta_of_the_pictures_size(size: tuple[int, int]) -> None:
    delta = tiny()(torch.rand(2, 3, *size), torch.tensor([30.0, 60.0]), torch.tensor([60.0, 30.0]))
    assert delta.shape == (2, 3, *size)


@torch.inference_mode()
def test_ages_count_and_faces_do_not_see_each_other() -> None:
    net, pictures = tiny(), torch.rand(3, 3, 32, 32)
    source, target = torch.tensor([30.0, 40.0, 50.0]), torch.tensor([60.0, 40.0, 20.0])
    together = net(pictures, source, target)
    for n in range(3):
        alone = net(pictures[n : n + 1], source[n : n + 1], target[n : n + 1])
        torch.testing.assert_close(alone[0], together[n], atol=1e-6, rtol=0)
    assert not torch.equal(net(pictures, source, target + 20), together)
    assert not torch.equal(net(pictures, source + 20, target), together)


def test_sizes_are_read_off_the_weights() -> None:
    net = tiny(1)
    again = ReagingUNet.from_state(net.state_dict()).eval()
    assert again.widths == WIDTHS
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))
    with pytest.raises(KeyError):
        ReagingUNet.from_state({"init_conv.0.weight": torch.ones(4, 5, 3, 3)})


def test_blurred_pooling_keeps_level_and_hardly_minds_half_a_pixel() -> None:
    assert torch.allclose(BlurPool(2, 2)(torch.full((1, 2, 8, 8), 0.3)), torch.tensor(0.3))
    waves = torch.sin(torch.arange(65) * 2.2)[None, None, None].expand(1, 1, 64, 65)
    pool = BlurPool(1, 2)
    blurred, plain = pool(waves[..., :64]).std(), waves[..., :64:2].std()
    assert blurred < 0.5 * plain, "what the smaller picture cannot hold is taken out before"
