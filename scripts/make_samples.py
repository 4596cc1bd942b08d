"""Makes `samples/`: a worn black-and-white reel with sound, a portrait, a photograph, and their clean originals.

    python scripts/make_samples.py [FOLDER]

Everything comes from photographs that scikit-image ships (public domain or CC0; `samples/README.md` lists them), from
drawn title cards and a synthesised tune. Seeded: the same versions of the libraries give the same files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import sample_sound
from sample_film import FrameWear, Picture, grey, pan, photograph, title_card, wear, worn

from restore.damage import Damage

REEL_RATE = 18
REEL_SIZE = (288, 216)
"""Of the worn reel; its original is twice that."""
REEL_SHOTS = {"title": 28, "cameraman": 38, "cafe": 34, "launch": 42, "end": 20}
REEL_SEED = 1924
REEL_DAMAGE = Damage(seed=REEL_SEED, black_and_white=True, fade=0.14, blur=0.6, grain=0.028, grain_size=0.55)

PORTRAIT_RATE = 24
PORTRAIT_SIZE = (256, 256)
PORTRAIT_FRAMES = 48
PORTRAIT_DAMAGE = Damage(seed=1992, fade=0.05, blur=0.7, grain=0.024, grain_size=0.5, grain_color=0.3)

PHOTO_SEED = 1931
PHOTO_DAMAGE = Damage(
    seed=PHOTO_SEED, black_and_white=True, tint=(1.12, 1.0, 0.8), fade=0.2, blur=0.9, grain=0.03, jpeg=62
)


def reel_original() -> Iterator[Picture]:
    """The reel's frames as they were shot, (2 H, 2 W)."""
    width, height = (2 * side for side in REEL_SIZE)
    for shot, frames in REEL_SHOTS.items():
        yield from _shot(shot, frames, width, height)


def _shot(shot: str, frames: int, width: int, height: int) -> Iterator[Picture]:
    if shot == "title":
        card = title_card(
            [("restore", 30), ("A Cup of Coffee", 58), ("and a Rocket", 58), ("a sample reel", 26)], width, height
        )
        return iter([card] * frames)
    if shot == "end":
        return iter([title_card([("The End", 84)], width, height)] * frames)
    name, start, end = {
        "cameraman": ("camera", (40, 10, 440), (0, 128, 512)),
        "cafe": ("coffee", (0, 5, 500), (100, 20, 470)),
        "launch": ("rocket", (60, 40, 510), (35, 0, 565)),
    }[shot]
    exposure = 0.75 if shot == "launch" else 1.0  # the rocket stands in the dusk
    return pan(grey(photograph(name)) ** exposure, start, end, frames, width, height)


def reel_wear() -> list[FrameWear]:
    """What happened to each frame of the reel."""
    return wear(list(REEL_SHOTS.values()), *REEL_SIZE, REEL_SEED)


def reel_frames(original: Iterable[Picture]) -> Iterator[Picture]:
    """The reel as it is found, (H, W) each."""
    for number, (clean, worn_by) in enumerate(zip(original, reel_wear(), strict=False)):
        yield worn(clean, worn_by, REEL_DAMAGE, number)


def portrait_original() -> Iterator[Picture]:
    """A slow push towards an astronaut's face, (2 H, 2 W, 3)."""
    width, height = (2 * side for side in PORTRAIT_SIZE)
    return pan(photograph("astronaut"), (30, 0, 420), (70, 0, 300), PORTRAIT_FRAMES, width, height)


def portrait_frames(original: Iterable[Picture]) -> Iterator[Picture]:
    """The portrait as it is found: soft and grainy, but steady, so that it lies exactly over its original."""
    steady = FrameWear((0.0, 0.0), 1.0, (), ())
    for number, clean in enumerate(original):
        yield worn(clean, steady, PORTRAIT_DAMAGE, number)


def photo_original() -> Picture:
    """A cat called Chelsea, (300, 450, 3)."""
    return photograph("chelsea")[:, :450]


def photo_found(original: Picture) -> Picture:
    """The photograph as it lay in a drawer: sepia, faded, scratched and creased."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(original.transpose(2, 0, 1)))[None]
    found = PHOTO_DAMAGE.apply(tensor)[0].permute(1, 2, 0).numpy().copy()
    random = np.random.default_rng(PHOTO_SEED)
    height, width = found.shape[:2]
    marks = np.zeros((height * 4, width * 4), np.float32)
    for _ in range(26):
        x, y = random.uniform(0, width * 4), random.uniform(0, height * 4)
        cv2.circle(
            marks, (int(x), int(y)), int(random.integers(2, 8)), float(random.choice((0.5, -0.35))), -1, cv2.LINE_AA
        )
    for _ in range(7):
        turn, length = random.uniform(0, np.pi), random.uniform(60, 500)
        x, y = random.uniform(0, width * 4), random.uniform(0, height * 4)
        end = (int(x + length * np.cos(turn)), int(y + length * np.sin(turn)))
        cv2.line(marks, (int(x), int(y)), end, 0.35, 3, cv2.LINE_AA)
    crease = np.cumsum(random.normal(0, 1.1, width * 4)) + height * 4 * 0.68
    cv2.polylines(marks, [np.stack((np.arange(width * 4), crease), 1).astype(np.int32)], False, 0.6, 5, cv2.LINE_AA)
    cv2.polylines(
        marks, [np.stack((np.arange(width * 4), crease + 6), 1).astype(np.int32)], False, -0.25, 5, cv2.LINE_AA
    )
    small = cv2.resize(cv2.GaussianBlur(marks, (0, 0), 1.5), (width, height), interpolation=cv2.INTER_AREA)
    return np.clip(found + small[..., None] * np.array((1.0, 0.97, 0.86), np.float32), 0, 1)


def write_film(
    path: Path, frames: Iterable[Picture], rate: int, crf: int, sound: sample_sound.Samples | None = None,
    sound_bits: int = 96_000, title: str = "", preset: str = "veryslow",
) -> None:  # fmt: skip
    """H.264 in 4:2:0, BT.601, limited range; AAC. One thread and exact flags, so that bytes do not vary."""
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as output:
        output.metadata["title"] = title
        video: Any = output.add_stream("libx264", rate=Fraction(rate))
        video.pix_fmt = "yuv420p"
        video.options = {"crf": str(crf), "preset": preset, "threads": "1", "flags": "+bitexact", "g": "48"}
        video.codec_context.time_base = Fraction(1, rate)
        color = video.codec_context
        color.color_primaries = color.color_trc = color.colorspace = 6  # SMPTE 170M (BT.601, 525 lines)
        color.color_range = 1
        audio: Any = None
        if sound is not None:
            audio = output.add_stream("aac", rate=sample_sound.RATE, layout="mono", options={"flags": "+bitexact"})
            audio.bit_rate = sound_bits
        count = 0
        for count, picture in enumerate(frames, 1):
            if count == 1:
                video.height, video.width = picture.shape[:2]
            frame = _frame(picture)
            frame.pts, frame.time_base = count - 1, Fraction(1, rate)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if sound is not None:
            samples = np.asarray(sound[None], np.float32)
            for piece in _blocks(samples):
                output.mux(audio.encode(piece))
            output.mux(audio.encode(None))


def _frame(picture: Picture) -> av.VideoFrame:
    """(H, W) becomes luma with neutral chroma; (H, W, 3) is converted with BT.601, limited range."""
    if picture.ndim == 2:
        luma = np.round(16 + 219 * picture).astype(np.uint8)
        planes = np.concatenate((luma.ravel(), np.full(luma.size // 2, 128, np.uint8)))
        return av.VideoFrame.from_ndarray(planes.reshape(-1, luma.shape[1]), format="yuv420p")
    frame = av.VideoFrame.from_ndarray(np.round(picture * 255).astype(np.uint8), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG", interpolation="BICUBIC")


def _blocks(samples: Any) -> Iterator[av.AudioFrame]:
    for start in range(0, samples.shape[1], 1024):
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + 1024]), "fltp", "mono")
        block.sample_rate, block.pts, block.time_base = sample_sound.RATE, start, Fraction(1, sample_sound.RATE)
        yield block


def write_picture(path: Path, picture: Picture, quality: int) -> None:
    """A JPEG, 4:2:0."""
    from PIL import Image

    Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(path, quality=quality, subsampling="4:2:0")


def make(folder: Path) -> None:
    """Write all samples."""
    folder.mkdir(parents=True, exist_ok=True)
    originals = list(reel_original())
    clean_sound = sample_sound.tune(len(originals) / REEL_RATE)
    title = "A Cup of Coffee and a Rocket"
    write_film(folder / "old_reel.mp4", reel_frames(originals), REEL_RATE, 24,
               sample_sound.aged(clean_sound, REEL_SEED), 96_000, title)  # fmt: skip
    write_film(folder / "old_reel_clean.mp4", originals, REEL_RATE, 14, clean_sound, 128_000, title)
    story = {"seed": REEL_SEED, "frames": [worn_by.as_json() for worn_by in reel_wear()]}
    (folder / "old_reel_wear.json").write_text(json.dumps(story, separators=(",", ":")) + "\n", encoding="utf-8")
    portraits = list(portrait_original())
    write_film(folder / "portrait.mp4", portrait_frames(portraits), PORTRAIT_RATE, 23, title="Portrait")
    write_film(folder / "portrait_clean.mp4", portraits, PORTRAIT_RATE, 14, title="Portrait")
    original = photo_original()
    write_picture(folder / "photo.jpg", photo_found(original), 78)
    write_picture(folder / "photo_clean.jpg", original, 92)
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:9,}  {path.name}")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "samples")
