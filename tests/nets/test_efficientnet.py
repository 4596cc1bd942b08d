"""EfficientNet-Lite: published weights folded into ours say the same; TensorFlow's padding."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from restore.nets.efficientnet import KERNELS, STRIDES, EfficientNetLite, Same, folded

WIDTHS, DEPTHS = (4, 6, 8, 10, 12, 14, 16), (1, 2, 1, 2, 1, 2, 1)


def published() -> dict[str, Tensor]:
    """Random weights under the names of the package efficientnet-lite-pytorch."""
    torch.manual_seed(6)
    found: dict[str, Tensor] = {"_fc.weight": torch.rand(3, 3)}

    def add(convolution: str, norm: str, *shape: int) -> None:
        found[f"{convolution}.weight"] = torch.randn(shape) / (shape[1] * shape[2]) ** 0.5
        found[f"{norm}.weight"], found[f"{norm}.bias"] = torch.rand(shape[0]) + 0.5, torch.randn(shape[0])
        found[f"{norm}.running_mean"], found[f"{norm}.running_var"] = torch.randn(shape[0]), torch.rand(shape[0]) + 0.5

    add("_conv_stem", "_bn0", 8, 3, 3, 3)
    inputs, number = 8, 0
    for i, width in enumerate(WIDTHS):
        for _ in range(DEPTHS[i]):
            block, inner = f"_blocks.{number}", inputs * (6 if i else 1)
            if i:
                add(f"{block}._expand_conv", f"{block}._bn0", inner, inputs, 1, 1)
            add(f"{block}._depthwise_conv", f"{block}._bn1", inner, 1, KERNELS[i], KERNELS[i])
            add(f"{block}._project_conv", f"{block}._bn2", width, inner, 1, 1)
            inputs, number = width, number + 1
    return found


def reference(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The published network, step by step, its normalisations apart."""

    def step(x: Tensor, convolution: str, norm: str, stride: int = 1) -> Tensor:
        weight = state[f"{convolution}.weight"]
        kernel, size = weight.shape[-1], x.shape[-1]
        spare = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        x = F.pad(x, (spare // 2, spare - spare // 2) * 2)
        x = F.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{norm}.{name}"] for name in names), eps=1e-3)

    x = F.relu6(step(x, "_conv_stem", "_bn0", 2))
    number = 0
    for i in range(7):
        for j in range(DEPTHS[i]):
            block, before = f"_blocks.{number}", x
            if i:
                x = F.relu6(step(x, f"{block}._expand_conv", f"{block}._bn0"))
            x = F.relu6(step(x, f"{block}._depthwise_conv", f"{block}._bn1", STRIDES[i] if j == 0 else 1))
            x = step(x, f"{block}._project_conv", f"{block}._bn2")
            x = x + before if j else x
            number += 1
    return x


@torch.inference_mode()
def test_folded_weights_say_what_the_published_ones_say() -> None:
    state = published()
    ours = folded(state)
    net = EfficientNetLite.sized_by(ours)
    net.load_state_dict(ours)
    picture = torch.randn(2, 3, 64, 64)
    seen = net.eval()(picture)
    assert [x.shape[1:] for x in seen] == [(8, 8, 8), (12, 4, 4), (16, 2, 2)]
    torch.testing.assert_close(seen[-1], reference(state, picture), atol=1e-3, rtol=1e-4)


def test_other_weights_are_refused() -> None:
    state = published()
    with pytest.raises(ValueError, match="stages"):
        folded({key: value for key, value in state.items() if not key.startswith("_blocks.9")})
    with pytest.raises(KeyError):
        folded({"weight": torch.ones(1)})
    with pytest.raises(ValueError, match="blocks"):
        EfficientNetLite.sized_by({"stem.weight": torch.ones(4, 3, 3, 3)})


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_padding_keeps_sizes(kernel: int, stride: int) -> None:
    assert Same(2, 3, kernel, stride)(torch.rand(1, 2, 32, 64)).shape == (1, 3, 32 // stride, 64 // stride)
