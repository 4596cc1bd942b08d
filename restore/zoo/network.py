"""Weights to a super-resolution network ready to run, with the facts a stage needs about it."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from restore.errors import OptionError, WeightsError
from restore.zoo.cache import Progress, file_sha256
from restore.zoo.fetch import weights_file
from restore.zoo.load import load_state_dict
from restore.zoo.recognise import recognise
from restore.zoo.resolve import ModelFile, resolve
from restore.zoo.spec import ModelSpec
from restore.zoo.table import MODELS
from restore.zoo.tensor_hash import tensor_sha256

LICENCE_NOT_STATED = "not stated"
_M = TypeVar("_M", bound=nn.Module)
# Names that only `restore.nets.reel.ReelUpscaler` has together.
_REEL_KEYS = frozenset({"skip.weight", "trunk.0.weight", "modulation.weight"})


@dataclass(frozen=True)
class LoadedNetwork:
    """A network on the CPU, in float32, in evaluation mode, its parameters frozen; and what to know to run it.

    The module takes (N, input_channels, H, W), RGB or grey, nominally [0, 1], and returns (N, output_channels,
    scale * H, scale * W), not clamped. Where `conditions` is not 0 it takes a second tensor (N, conditions).
    """

    module: nn.Module
    id: str
    architecture: str
    scale: int
    input_channels: int
    output_channels: int
    receptive_field: int | None
    """Pixels of the input, each side, an output pixel can depend on; None where unknown or the whole picture."""
    multiple_of: int
    """Height and width of the input must be multiples of this."""
    minimum_size: int
    """Height and width of the input must be at least this."""
    square: bool
    """Whether the input must be square."""
    conditions: int
    """Length of the degradation vector the network is told; 0 for networks that take the picture alone."""
    supports_half: bool
    supports_bfloat16: bool
    tensor_sha256: str
    """Hash of the weights as they run, after blending: what a journal needs."""
    file_sha256: str
    """Hash of the (main) file."""
    licence: str
    path: Path
    note: str = ""
    """What distinguishes the file from the published one, for example "copy rounded to half precision"."""


def load_network(
    ref: str | Path,
    *,
    denoise_strength: float | None = None,
    download: bool = True,
    progress: Progress | None = None,
) -> LoadedNetwork:
    """Load a super-resolution network by name or path.

    Args:
        ref: a name from the table, an imported name, or the path of any super-resolution file spandrel knows.
        denoise_strength: for models with a denoise blend, the weight of the denoising network, 0 to 1; the weights are
            ``s * model + (1 - s) * companion`` (Wang et al., deep network interpolation, CVPR 2019). None is 1.
        download: fetch published weights that are not on this machine; otherwise that is an error.
        progress: told of the download's bytes.

    Raises:
        UnknownModelError: no such name or file.
        OptionError: a denoise strength out of range, or for a model without a blend; a model that does not upscale.
        WeightsError: not on this machine, wrong hash, damaged, unsupported, or not a super-resolution network.
        DownloadError, LicenceError: see `restore.zoo.pull`.
    """
    file = resolve(ref)
    if file.spec is not None and file.spec.kind not in ("upscale", "companion"):
        raise OptionError(f"{file.id} cannot upscale; see `restore models list`")
    file, state = _recognised(file)
    companion = _companion(file, denoise_strength)
    path, digest = weights_file(file, download=download, progress=progress)
    if state is None:
        state = load_state_dict(path, key=file.spec.state_dict_key if file.spec else None)
    if companion is not None and denoise_strength is not None:
        other_path, _ = weights_file(companion.id, download=download, progress=progress)
        other = load_state_dict(other_path, key=companion.state_dict_key)
        state = blend(state, other, denoise_strength)
    return _network(state, file, path, digest)


def describe(path: Path) -> LoadedNetwork:
    """The network in a file, whatever the zoo knows of it; errors as for `load_network`."""
    return _network(load_state_dict(path), ModelFile(path.stem, None, path, None), path, file_sha256(path))


def blend(first: Mapping[str, Tensor], second: Mapping[str, Tensor], weight: float) -> dict[str, Tensor]:
    """``weight * first + (1 - weight) * second``, tensor by tensor, in float32."""
    if {k: t.shape for k, t in first.items()} != {k: t.shape for k, t in second.items()}:
        raise WeightsError("the two networks to blend are not of the same architecture; pull both again")
    return {name: weight * first[name].float() + (1 - weight) * second[name].float() for name in first}


def _network(state: dict[str, Tensor], file: ModelFile, path: Path, digest: str) -> LoadedNetwork:
    """Build the network a state dict belongs to: one of ours, or one spandrel recognises and that enlarges."""
    if state.keys() >= _REEL_KEYS:
        return _reel_network(state, file, path, digest)
    prepare_spandrel()
    from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

    try:
        found = ModelLoader(device="cpu").load_from_state_dict(dict(state))
    except UnsupportedModelError as error:
        raise WeightsError(
            f"{path} is not a network this version knows (spandrel does not recognise its weights);"
            " see `restore models list` for ones that work"
        ) from error
    except Exception as error:  # a file that resembles a known network but is not raises nearly anything
        raise WeightsError(
            f"{path} resembles a known network but does not load as one: wrong or damaged weights"
        ) from error
    if not isinstance(found, ImageModelDescriptor) or found.purpose != "SR":
        raise WeightsError(
            f"{path} is a {found.architecture.name} network that does not upscale; it cannot be used here"
        )
    size = found.size_requirements
    return LoadedNetwork(
        module=frozen(found.model),
        id=file.id,
        architecture=found.architecture.name,
        scale=found.scale,
        input_channels=found.input_channels,
        output_channels=found.output_channels,
        receptive_field=receptive_field(found.model, found.scale),
        multiple_of=size.multiple_of,
        minimum_size=size.minimum,
        square=size.square,
        conditions=0,
        supports_half=found.supports_half,
        supports_bfloat16=found.supports_bfloat16,
        tensor_sha256=tensor_sha256(state),
        file_sha256=digest,
        licence=file.spec.licence.id if file.spec else LICENCE_NOT_STATED,
        path=path,
        note=file.note,
    )


def receptive_field(module: nn.Module, scale: int) -> int | None:
    """Input pixels, each side, that reach an output pixel; None for architectures not worked out here.

    SRVGGNetCompact: a pixel for each 3x3 convolution. RRDBNet: the same along the longest path (15 convolutions a
    block), the convolutions after each doubling, whose reach halves with it, and the pixel unshuffle.
    """
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.ESRGAN import ESRGAN

    if isinstance(module, Compact):
        return sum(isinstance(part, nn.Conv2d) for part in module.body)
    if isinstance(module, ESRGAN):
        blocks = sum(type(part).__name__ == "RRDB" for part in module.modules())
        return _rrdb_reach(blocks, scale, module.shuffle_factor or 1)
    return None


def _rrdb_reach(blocks: int, scale: int, unshuffle: int) -> int:
    """Follow the interval of pixels an output pixel sees, for every position in a block, from the output back."""
    trunk = 1 + 15 * blocks + 1
    doublings = round(math.log2(scale * unshuffle))
    reach = 0
    for phase in range(2**doublings):
        low, high = phase - 2, phase + 2
        for _ in range(doublings):
            low, high = (low - 1) // 2, (high + 1) // 2
        first, last = (low - trunk) * unshuffle, (high + trunk + 1) * unshuffle - 1
        reach = max(reach, phase // scale - first, last - phase // scale)
    return reach


def _recognised(file: ModelFile) -> tuple[ModelFile, dict[str, Tensor] | None]:
    """For a bare path: which known model it holds, if any, and its tensors, read on the way."""
    if file.sha256 is not None or file.path is None or (file.spec is not None and file.spec.bundled):
        return file, None
    state = load_state_dict(file.path)
    known = recognise(state, file.path)
    return (replace(file, spec=known[0], note=known[1]) if known else file), state


def _companion(file: ModelFile, denoise_strength: float | None) -> ModelSpec | None:
    if denoise_strength is None:
        return None
    if not 0 <= denoise_strength <= 1:
        raise OptionError(f"a denoise strength of {denoise_strength:g} is out of range; it goes from 0 to 1")
    if file.spec is None or file.spec.blend_with is None:
        able = ", ".join(spec.id for spec in MODELS.values() if spec.blend_with)
        raise OptionError(f"{file.id} has no denoise strength; only {able} does")
    return MODELS[file.spec.blend_with] if denoise_strength < 1 else None


def _reel_network(state: dict[str, Tensor], file: ModelFile, path: Path, digest: str) -> LoadedNetwork:
    from restore.nets.reel import ReelUpscaler

    try:
        module = frozen(ReelUpscaler.from_state(state))
    except (LookupError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} resembles this project's networks but does not load as one: damaged?") from error
    return LoadedNetwork(
        module=module,
        id=file.id,
        architecture="ReelUpscaler",
        scale=module.scale,
        input_channels=3,
        output_channels=3,
        receptive_field=module.receptive_field,
        multiple_of=1,
        minimum_size=1,
        square=False,
        conditions=module.conditions,
        supports_half=True,
        supports_bfloat16=True,
        tensor_sha256=tensor_sha256(state),
        file_sha256=digest,
        licence=file.spec.licence.id if file.spec else LICENCE_NOT_STATED,
        path=path,
    )


def frozen(module: _M) -> _M:
    """Ready to run: float32, evaluation mode, no gradients."""
    return module.float().eval().requires_grad_(False)


@functools.cache
def prepare_spandrel() -> bool:
    """Import spandrel quietly, and the architectures it keeps apart for their licences; whether those are here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import spandrel  # noqa: F401

        try:
            import spandrel_extra_arches
        except ImportError:
            return False
        spandrel_extra_arches.install(ignore_duplicates=True)
        return True
