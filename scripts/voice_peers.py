"""Other tools for the same damage, called as their documents say: noisereduce and FFmpeg's filters through PyAV."""

from __future__ import annotations

import av
import av.audio.resampler
import av.filter
import numpy as np
import torch
from torch import Tensor


def noisereduce(sound: Tensor, rate: int, noise: Tensor | None = None) -> Tensor:
    """Spectral gating, with its defaults; or told what the noise is like, which is its stationary way."""
    import noisereduce as peer

    told = {} if noise is None else {"stationary": True, "y_noise": noise.numpy()}
    return torch.from_numpy(np.atleast_2d(peer.reduce_noise(y=sound.numpy(), sr=rate, **told))).float()


def ffmpeg(sound: Tensor, rate: int, name: str, arguments: str = "") -> Tensor:
    """One of FFmpeg's audio filters; its delay is found by cross-correlation and taken back."""
    layout = "mono" if sound.shape[0] == 1 else "stereo"
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="fltp", layout=layout, time_base=f"1/{rate}")
    effect = graph.add(name, arguments)
    form = graph.add("aformat", "sample_fmts=fltp")
    sink = graph.add("abuffersink")
    source.link_to(effect)
    effect.link_to(form)
    form.link_to(sink)
    graph.configure()
    silence = torch.zeros(sound.shape[0], rate)
    padded = torch.cat((sound, silence), 1).numpy()
    heard = []

    def pull() -> None:
        while True:
            try:
                heard.append(sink.pull().to_ndarray())
            except (av.error.BlockingIOError, av.error.EOFError):
                return

    for start in range(0, padded.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(padded[:, start : start + 1024]), "fltp", layout)
        frame.sample_rate, frame.pts = rate, start
        source.push(frame)
        pull()
    source.push(None)
    pull()
    result = torch.from_numpy(np.concatenate(heard, 1))
    return _aligned(result, sound, rate)


def _aligned(result: Tensor, sound: Tensor, rate: int) -> Tensor:
    """Shift by the lag, within a second, at which the result matches best, and cut to length."""
    size = 1 << (result.shape[1] + rate).bit_length()
    spectrum = torch.fft.rfft(result[0].double(), size) * torch.fft.rfft(sound[0].double(), size).conj()
    match = torch.fft.irfft(spectrum, size)
    lag = int(match[:rate].argmax())
    moved = result[:, lag : lag + sound.shape[1]]
    return torch.nn.functional.pad(moved, (0, sound.shape[1] - moved.shape[1]))
