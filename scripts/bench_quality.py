"""Measure how close to the truth our networks come, beside bicubic and the published ones; print Markdown.

    RESTORE_TEST_MATERIAL=... python scripts/bench_quality.py

Protocol. Kodak pictures 1 to 12 are made 2 or 4 times smaller by antialiased bicubic interpolation and rounded to 8
bits ("clean"), or damaged by the four films below, whose recipes and seeds are frozen here and are none of the
training's. PSNR is over RGB with 4 pixels of border cut, SSIM likewise over luma; both are means of pictures. The
degradation our networks are told is measured from the small picture, never given. The truth of a faded or colourless
film is the sharp picture faded alike: undoing that is another stage's work. Published x4 networks answer at x2 by an
antialiased reduction of their x4 picture. Everything runs in float32 unless --bf16.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import spandrel
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from restore.analysis.degradation import DegradationEstimator, load_estimator
from restore.damage import Damage
from restore.nets.reel import ReelUpscaler

ROOT = Path(__file__).resolve().parent.parent
BORDER = 4
FILMS = {
    "fine print": Damage(seed=9001, blur=0.5, grain=0.02, grain_size=0.5, kernel="area", jpeg=88),
    "16 mm, b/w": Damage(seed=9002, black_and_white=True, blur=0.8, grain=0.05, grain_size=0.7, fade=0.15, jpeg=75),
    "worn copy, b/w": Damage(
        seed=9003, black_and_white=True, blur=1.2, reduced=1.4, grain=0.075, grain_size=0.9, fade=0.3, jpeg=50
    ),
    "colour tape": Damage(
        seed=9004,
        blur=0.7,
        blur_aspect=0.6,
        reduced=1.3,
        sensor=0.02,
        chroma_subsampled=True,
        jpeg=40,
        kernel="bilinear",
    ),
}
Upscaler = Callable[[Tensor], Tensor]


def read_picture(path: Path) -> Tensor:
    """(1, 3, H, W) in [0, 1]."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255


def bicubic(scale: int) -> Upscaler:
    return lambda small: F.interpolate(small, scale_factor=scale, mode="bicubic", antialias=True)


def ours(scale: int, models: Path, estimator: DegradationEstimator, *, bf16: bool) -> Upscaler:
    name = f"reel-x{scale}"
    net = ReelUpscaler.from_state(load_file(models / name / f"{name}.safetensors"))

    def upscale(small: Tensor) -> Tensor:
        folded = net.folded(estimator.measure(small).tensor())
        return (folded.set_precision(torch.bfloat16) if bf16 else folded)(small)

    return upscale


def published(scale: int, weights: Path, name: str, blend: str = "", *, bf16: bool) -> Upscaler:
    """A x4 network of the Real-ESRGAN family; `blend` is mixed in half and half (its denoise strength of 0.5)."""
    model = spandrel.ModelLoader().load_from_file(weights / name).model.eval()
    if blend:
        other = spandrel.ModelLoader().load_from_file(weights / blend).model.state_dict()
        model.load_state_dict({k: (v + other[k]) / 2 for k, v in model.state_dict().items()})

    def upscale(small: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            large = model(small.contiguous(memory_format=torch.channels_last)).float().clamp(0, 1)
        if scale == 4:
            return large
        size = [side * scale for side in small.shape[-2:]]
        return F.interpolate(large, size=size, mode="bicubic", antialias=True)

    return upscale


def psnr(picture: Tensor, truth: Tensor) -> float:
    inside = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    return float(-10 * torch.log10((picture - truth)[inside].square().mean()))


def ssim(picture: Tensor, truth: Tensor) -> float:
    """Structural similarity of luma (Wang et al. 2004): 11x11 Gaussian window of sigma 1.5."""
    line = torch.exp(-0.5 * (torch.arange(11.0) - 5) ** 2 / 1.5**2)
    window = (torch.outer(line, line) / line.sum() ** 2)[None, None].double()
    weights = torch.tensor([0.299, 0.587, 0.114]).double()
    inside = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    a, b = (torch.einsum("c,nchw->nhw", weights, t.double())[:, None][inside] for t in (picture, truth))
    mean_a, mean_b = F.conv2d(a, window), F.conv2d(b, window)
    var_a, var_b = F.conv2d(a * a, window) - mean_a**2, F.conv2d(b * b, window) - mean_b**2
    cov = F.conv2d(a * b, window) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    return float(
        ((2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean()
    )


def measure(
    pictures: list[Tensor], damage: Damage, scale: int, upscalers: dict[str, Upscaler]
) -> dict[str, tuple[float, float]]:
    """{who: (PSNR, SSIM)}, means of the pictures."""
    found = defaultdict(list)
    for sharp in pictures:
        small, truth = damage.apply(sharp, scale), damage.toned(sharp)
        for who, upscale in upscalers.items():
            large = (upscale(small).clamp(0, 1) * 255).round() / 255
            found[who].append((psnr(large, truth), ssim(large, truth)))
    return {who: mean(values) for who, values in found.items()}


Row = dict[str, tuple[float, float]]


def print_row(what: str, values: Row) -> None:
    cells = [f"{p:.2f} dB, {s:.4f}" for p, s in values.values()]
    gain = values["ours"][0] - values["bicubic"][0]
    print(f"| {what} | " + " | ".join(cells) + f" | **{gain:+.2f} dB** |", flush=True)


def print_table(pictures: list[Tensor], scale: int, upscalers: dict[str, Upscaler]) -> None:
    """A row a film, each as soon as it is measured."""
    print(f"| ×{scale} | " + " | ".join(upscalers) + " | ours − bicubic |")
    print("|---" * (len(upscalers) + 2) + "|")
    print_row("clean", measure(pictures, Damage(), scale, upscalers))
    rows = []
    for film, damage in FILMS.items():
        rows.append(measure(pictures, damage, scale, upscalers))
        print_row(film, rows[-1])
    print_row("films, mean", {who: mean([row[who] for row in rows]) for who in upscalers})
    print()


def mean(values: list[tuple[float, float]]) -> tuple[float, float]:
    """Of PSNRs and of SSIMs."""
    psnrs, ssims = zip(*values, strict=True)
    return float(np.mean(psnrs)), float(np.mean(ssims))


def machine() -> str:
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return (
        f"{model}, {os.cpu_count()} threads, PyTorch {torch.__version__}, commit {commit.stdout.strip() or 'unknown'}"
    )


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    material = os.environ.get("RESTORE_TEST_MATERIAL", str(ROOT.parent / "shared" / "test"))
    parser.add_argument("--material", type=Path, default=Path(material), help="default: RESTORE_TEST_MATERIAL")
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--scale", type=int, choices=(2, 4), action="append")
    parser.add_argument(
        "--bf16", action="store_true", help="convolutions in bfloat16 for every network, as rendering does"
    )
    parser.add_argument("--no-peers", action="store_true", help="only bicubic and ours")
    parser.add_argument("--save", type=Path, help="write the pictures of kodim04 there, to look at")
    args = parser.parse_args()
    paths = sorted((args.material / "images" / "kodak").glob("kodim*.png"))[:12]
    if len(paths) != 12:
        raise SystemExit(f"the 12 Kodak pictures are not in {args.material}/images/kodak: set RESTORE_TEST_MATERIAL")
    pictures, weights = [read_picture(path) for path in paths], args.material / "weights"
    estimator = load_estimator(args.models / "reel-degradation" / "reel-degradation.safetensors")
    print(f"{machine()}; PSNR and SSIM, means of Kodak 1–12" + (", networks in bfloat16.\n" if args.bf16 else ".\n"))
    for scale in args.scale or (2, 4):
        upscalers = {"bicubic": bicubic(scale), "ours": ours(scale, args.models, estimator, bf16=args.bf16)}
        if not args.no_peers:
            general = "realesr-general-x4v3.fp16-copy.pth"
            upscalers |= {
                "general-x4v3": published(scale, weights, general, bf16=args.bf16),
                "general, denoise 0.5": published(
                    scale, weights, general, "realesr-general-wdn-x4v3.fp16-copy.pth", bf16=args.bf16
                ),
                "animevideov3": published(scale, weights, "realesr-animevideov3.pth", bf16=args.bf16),
            }
        print_table(pictures, scale, upscalers)
        if args.save:
            save(args.save, pictures[3], scale, upscalers)


def save(folder: Path, sharp: Tensor, scale: int, upscalers: dict[str, Upscaler]) -> None:
    """The truth and every answer side by side, a file a film."""
    folder.mkdir(parents=True, exist_ok=True)
    for film, damage in {"clean": Damage(), **FILMS}.items():
        small = damage.apply(sharp, scale)
        strip = torch.cat([damage.toned(sharp), *(upscale(small).clamp(0, 1) for upscale in upscalers.values())], dim=3)
        pixels = (strip[0].permute(1, 2, 0) * 255).round().byte().numpy()
        cv2.imwrite(str(folder / f"x{scale}_{film.replace(' ', '_').replace('/', '')}.png"), pixels[..., ::-1])


if __name__ == "__main__":
    main()
