"""The rendering half of `retouch`: each picture by itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch

from restore.analysis.drawn import checked_shapes, drawn
from restore.analysis.flow import luma_of
from restore.analysis.repaired import handed_back
from restore.errors import OptionError, SourceNotFoundError
from restore.frames import FrameBatch, VideoFormat
from restore.nets.marks import MarkNet
from restore.pipeline.contract import Device, Stage, Values
from restore.stages.retouch.detect import Mask, damaged, load_net
from restore.stages.retouch.fill import fill
from restore.stages.retouch.options import RetouchOptions
from restore.zoo import weights_file

NETWORK = "retouch-marks"


class Retouch(Stage[RetouchOptions]):
    """Repairs damage of single pictures; all else stays as it is, to the bit."""

    name = "retouch"
    domain = "rgb"
    needs_progressive = True
    editable: ClassVar[frozenset[str]] = frozenset({"sensitivity", "strength", "lines", "specks"})
    timed: ClassVar[frozenset[str]] = frozenset({"add", "forbid"})

    def __init__(self, options: RetouchOptions) -> None:
        super().__init__(options)
        self._given: Mask | None = None
        self._net: MarkNet | None = None

    def weights(self) -> dict[str, str]:
        """The network that finds damage."""
        return {NETWORK: weights_file(NETWORK)[1]}

    def effective(self) -> dict[str, Any]:
        """The options; of a mask that was handed in, what it holds and not its name."""
        options = super().effective()
        if self.options.mask_in is not None:
            options["mask_in"] = hashlib.sha256(_bytes_of(self.options.mask_in)).hexdigest()
        return options

    def check(self, format: VideoFormat) -> None:
        """The mask handed in, if any, must be a picture of this size."""
        self._given = _loaded(self.options.mask_in, format) if self.options.mask_in is not None else None

    def checked_edit(self, changes: Values) -> dict[str, Any]:
        """As for every stage; shapes are checked for their form."""
        shapes = {name: checked_shapes(self.name, name, changes[name]) for name in self.timed & changes.keys()}
        rest = {name: value for name, value in changes.items() if name not in shapes}
        return {**super().checked_edit(rest), **shapes}

    def open(self, device: Device, format: VideoFormat) -> None:
        """Load the network, and the mask handed in, if any."""
        self.check(format)
        self._net = load_net(weights_file(NETWORK)[0])

    def process(self, batch: FrameBatch, values: Values) -> tuple[torch.Tensor, torch.Tensor]:
        """Repair the core frames; the mask says where."""
        told = {**self.options.model_dump(), **values}
        pixels = batch.pixels[batch.core].cpu()
        results, masks = [], []
        for picture, luma, pts in zip(pixels, luma_of(pixels.numpy()), batch.pts[batch.core], strict=True):
            mask = self._mask(luma, pts, told)
            here = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
            results.append(fill(here, mask, seed=pts))
            masks.append(mask)
        return handed_back(batch, results, masks, told)

    def _mask(self, luma: np.ndarray[Any, np.dtype[np.float32]], pts: int, told: dict[str, Any]) -> Mask:
        if told["strength"] == 0:
            return np.zeros(luma.shape, bool)
        assert self._net is not None
        mask = damaged(self._net, luma, float(told["sensitivity"]), bool(told["lines"]), bool(told["specks"]))
        if self._given is not None:
            mask |= self._given
        mask |= drawn(told.get("add", []), pts, luma.shape)
        return np.asarray(mask & ~drawn(told.get("forbid", []), pts, luma.shape), bool)

    def stand_in(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        """The picture as it is: what analyzers of later stages look for is not hidden by scratches."""
        return batch.pixels[batch.core]

    def close(self) -> None:
        """Let go of the network."""
        self._net = None


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceNotFoundError(f"{path}: the mask cannot be read ({error.strerror})") from None


def _loaded(path: Path, format: VideoFormat) -> Mask:
    """(H, W): what is lighter than mid-grey. Raises SourceNotFoundError, OptionError."""
    data = np.frombuffer(_bytes_of(path), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION) if len(data) else None
    if picture is None:
        raise OptionError(f"--mask-in {path}: not a picture that can be read; PNG is a good choice")
    if picture.shape != (format.height, format.width):
        raise OptionError(
            f"--mask-in {path}: is {picture.shape[1]}x{picture.shape[0]}, the picture is "
            f"{format.width}x{format.height}; draw it at that size"
        )
    return np.asarray(picture > 127, bool)
