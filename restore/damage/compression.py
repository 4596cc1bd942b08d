"""What digital copies lost: chroma resolution and JPEG-like blocks."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from restore.damage.grain import LUMA


def jpeg(pixels: Tensor, quality: int, subsample: bool = True) -> Tensor:
    """Send each picture of (N, 3, H, W), [0, 1], through a JPEG of that quality (1 to 100; 4:2:0 if `subsample`)."""
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if subsample else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    pictures = (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    decoded = []
    for picture in pictures:
        _, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), flags)
        decoded.append(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])
    stacked = torch.from_numpy(np.ascontiguousarray(np.stack(decoded))).permute(0, 3, 1, 2)
    return stacked.to(pixels) / 255


def subsample_chroma(pixels: Tensor) -> Tensor:
    """Take (N, 3, H, W) to 4:2:0 and back: colour differences at half the size, luma untouched."""
    height, width = pixels.shape[-2:]
    y = torch.einsum("c,nchw->nhw", pixels.new_tensor(LUMA), pixels)[:, None]
    difference = F.interpolate(pixels - y, size=(-(-height // 2), -(-width // 2)), mode="area")
    return y + F.interpolate(difference, size=(height, width), mode="bilinear")


def quantise(pixels: Tensor, levels: int = 255) -> Tensor:
    """Round to `levels` steps in [0, 1], as a file of 8 (255) or 10 bits (1023) does."""
    return (pixels.clamp(0, 1) * levels).round() / levels
