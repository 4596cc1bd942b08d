"""Weights to a network that proposes colours for pictures without any: ours, Zhang's two, DDColor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from restore.errors import OptionError, WeightsError
from restore.zoo.cache import Progress
from restore.zoo.network import frozen, prepare_spandrel
from restore.zoo.opening import Identity, open_weights

Layout = Literal["reel", "eccv16", "siggraph17", "ddcolor"]

# Names that only networks of one layout have together.
_KEYS: dict[Layout, frozenset[str]] = {
    "reel": frozenset({"cells", "encoder.stem.weight", "head.weight"}),
    "siggraph17": frozenset({"model1.0.weight", "model3short8.0.weight", "model_out.0.weight"}),
    "eccv16": frozenset({"model1.0.weight", "model8.6.weight", "model_out.weight"}),
    "ddcolor": frozenset({"refine_net.0.0.weight_orig", "encoder.arch.norm.weight"}),
}


@dataclass(frozen=True, kw_only=True)
class ColorNetwork(Identity):
    """A network on the CPU, in float32, in evaluation mode, its parameters frozen; what it takes depends on `layout`.

    ``reel``: `restore.nets.colorize.ColorizeNet`. ``eccv16``, ``siggraph17``: `restore.nets.zhang`. ``ddcolor``:
    grey R'G'B' (N, 3, H, W) in [0, 1], sizes multiples of 32, to CIE a*, b* (N, 2, H, W).
    """

    module: nn.Module
    layout: Layout


def layout_of(state: Mapping[str, Tensor]) -> Layout | None:
    """Which kind of colorization network a state dict is of, if any."""
    return next((layout for layout, keys in _KEYS.items() if state.keys() >= keys), None)


def load_color_network(ref: str | Path, *, download: bool = True, progress: Progress | None = None) -> ColorNetwork:
    """Load a colorization network by name or path.

    Raises:
        UnknownModelError: no such name or file.
        OptionError: a model that does not colorize; DDColor without the package that builds it.
        WeightsError: not on this machine, wrong hash, damaged, or no colorization network.
        DownloadError, LicenceError: see `restore.zoo.pull`.
    """
    state, identity = open_weights(ref, "colorize", "colorize", download=download, progress=progress)
    module, layout = build(state, identity.path)
    return ColorNetwork(module=frozen(module), layout=layout, **vars(identity))


def build(state: dict[str, Tensor], path: Path) -> tuple[nn.Module, Layout]:
    """The colorization network a state dict belongs to. Raises WeightsError, OptionError as `load_color_network`."""
    layout = layout_of(state)
    if layout is None:
        raise WeightsError(f"{path} is not a colorization network this version knows; see `restore models list`")
    if layout == "ddcolor":
        return _ddcolor(state, path), layout
    try:
        return _own(state, layout), layout
    except (LookupError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} resembles a {layout} network but does not load as one: damaged?") from error


def _own(state: dict[str, Tensor], layout: Layout) -> nn.Module:
    from restore.nets.colorize import ColorizeNet
    from restore.nets.zhang import Eccv16, Siggraph17

    if layout == "reel":
        return ColorizeNet.from_state(state)
    module = Eccv16() if layout == "eccv16" else Siggraph17()
    module.load_state_dict(state)
    return module


def _ddcolor(state: dict[str, Tensor], path: Path) -> nn.Module:
    if not prepare_spandrel():
        raise OptionError("DDColor needs spandrel's extra architectures: pip install 'restore[arches]'")
    from spandrel_extra_arches.architectures.DDColor import DDColorArch

    try:
        module = DDColorArch().load(dict(state)).model
        if module.num_output_channels != 2:
            raise ValueError(f"{module.num_output_channels} channels instead of a and b")
    except Exception as error:  # a file that resembles a known network but is not raises nearly anything
        raise WeightsError(f"{path} resembles DDColor but does not load as one: wrong or damaged weights") from error
    found: nn.Module = module
    return found
