"""A network's mask for the voice band of a track of any rate.

The network knows 16 kHz. Its frames are made to last as long, and its bins to be as wide, at the track's own rate: so
the lowest 257 bins of a track of 48 kHz are what it would have heard, and nothing has to be resampled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from restore.errors import WeightsError
from restore.frames import AudioBatch
from restore.nets.gtcrn import BINS, Gtcrn
from restore.zoo import load_state_dict, weights_file
from restore.zoo.tensor_hash import tensor_sha256

RATE = 16000
_FRAME = 512
WARM_UP = 2.5
"""Seconds after which the network no longer remembers that it knew nothing at first."""
_CROSSOVER = 12
"""Bins over which the network hands over to the classical mask, below 8 kHz."""


class VoiceNetwork:
    """A network that masks noise, with the frames it wants. Raises WeightsError for weights of something else."""

    def __init__(self, model: str) -> None:
        state = load_state_dict(weights_file(model)[0], key="model")
        self.module = Gtcrn()
        try:
            self.module.load_state_dict(state)
        except RuntimeError:
            raise WeightsError(f"{model} holds no GTCRN: name gtcrn-dns3, gtcrn-vctk or a checkpoint of it") from None
        self.digest = tensor_sha256(state)
        self.module.eval().requires_grad_(False)

    def clean(self, batch: AudioBatch, rest: Tensor, limits: Sequence[float]) -> Tensor:
        """The samples of a batch with the noise taken from the voice band.

        Args:
            batch: chunks and their context.
            rest: the same samples, cleaned in another way: what is above the voice band is taken from these.
            limits: dB for each group of channels; nothing is turned down by more.

        Returns:
            (batch, channels, samples).
        """
        rate = batch.format.rate
        size = 2 * round(_FRAME * rate / RATE / 2)
        hop, scale = size // 2, _FRAME / size
        window = torch.hann_window(size, device=rest.device).sqrt()
        result = batch.samples.clone()
        for row, start in enumerate(batch.starts):  # frames lie on the track's own grid, whatever the chunk
            offset = -(start - batch.core.start) % hop
            sound = torch.cat((batch.samples[row, :, offset:], rest[row, :, offset:]))
            channels, samples = batch.samples.shape[1], sound.shape[1]
            spectra = torch.stft(sound, size, hop, window=window, pad_mode="constant", return_complex=True)
            heard, above = spectra[:channels], spectra[channels:]
            for group, limit in zip(batch.format.groups, limits, strict=True):
                index = list(group)
                mask = limited(self._mask(heard[index].mean(0, keepdim=True) * scale), limit)
                low = min(BINS, heard.shape[1])
                share = ((low - 1 - torch.arange(low, device=rest.device)) / _CROSSOVER).clamp(0, 1)[:, None]
                if heard.shape[1] <= BINS:
                    share = torch.ones_like(share)
                part = heard[index][:, :low] * mask[:, :low]
                above[index, :low] = above[index, :low] + (part - above[index, :low]) * share
            result[row, :, offset:] = torch.istft(above, size, hop, window=window, length=samples)
        return result

    def _mask(self, spectra: Tensor) -> Tensor:
        low = spectra[:, :BINS]
        missing = BINS - low.shape[1]
        mask: Tensor = self.module(torch.nn.functional.pad(low, (0, 0, 0, missing)) if missing else low)
        return mask


def limited(mask: Tensor, limit: float) -> Tensor:
    """A complex mask that turns nothing up, and nothing down by more than `limit` dB."""
    floor = math.exp(-limit / 20 * math.log(10))
    size = mask.abs()
    held = mask / size.clamp(min=1.0)
    return torch.where(size < floor, torch.full_like(mask, floor), held)
