"""Train the network that finds damage in single pictures, `retouch-marks`.

    python scripts/train_retouch.py ../shared/train/photos --minutes 15 --out retouch-marks.safetensors

Photographs, a third of them without colour, some soft, grainy or pale like old ones, are damaged by
`restore.damage.creases` with seeds of their own; half of every batch is left sound. Of every seven photographs the
fourth is held back to measure with.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from restore.damage.creases import PrintDamage
from restore.nets.marks import MarkNet

CROP = 128
SEED = 30_000


def pair(path: Path, number: int) -> tuple[Tensor, Tensor]:
    """Luma of a sound picture and of the same one damaged, (H, W) each, with a look that differs from time to time."""
    random = np.random.default_rng((SEED, number))
    loaded = cv2.imread(str(path))
    assert loaded is not None, path
    scale = random.uniform(0.7, 1.1) * 560 / max(loaded.shape[:2])
    small = cv2.resize(loaded, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    clean = torch.from_numpy(small[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    if random.random() < 0.5:
        blur = random.uniform(0.4, 1.1)
        soft = cv2.GaussianBlur(np.ascontiguousarray(clean[0].permute(1, 2, 0).numpy()), (0, 0), blur)
        clean = torch.from_numpy(soft).permute(2, 0, 1)[None]
    pale = random.uniform(0.6, 1.0)
    clean = clean * pale + random.uniform(0, 1 - pale)
    worn = PrintDamage(seed=SEED + number).apply(clean)
    grain = torch.from_numpy(random.normal(0, random.uniform(0, 0.035), clean.shape[-2:]).astype(np.float32))
    weights = torch.tensor((0.2126, 0.7152, 0.0722))[:, None, None]
    first, second = ((p[0] * weights).sum(0) + grain for p in (clean, worn))
    return (first.clamp(0, 1) * 255).round().byte(), (second.clamp(0, 1) * 255).round().byte()


def crops(pairs: list[tuple[Tensor, Tensor]], count: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A batch of luma and truth, half of it sound."""
    pictures, truths = [], []
    while len(pictures) < count:
        clean, worn = pairs[int(random.integers(len(pairs)))]
        top, left = (int(random.integers(0, side - CROP)) for side in clean.shape)
        box = (slice(top, top + CROP), slice(left, left + CROP))
        sound = len(pictures) % 2 == 0
        before, after = clean[box].float() / 255, worn[box].float() / 255
        truth = (after - before).abs() > 8 / 255
        turn, flip = int(random.integers(4)), bool(random.integers(2))
        shown, truth = (before, torch.zeros_like(truth)) if sound else (after, truth)
        shown, truth = shown.rot90(turn), truth.rot90(turn)
        pictures.append(shown.flip(0) if flip else shown)
        truths.append(truth.flip(0) if flip else truth)
    return torch.stack(pictures)[:, None], torch.stack(truths)[:, None].float()


def report(net: MarkNet, pairs: list[tuple[Tensor, Tensor]]) -> str:
    """Of held-back pictures: F1 on damaged ones and percent of sound pixels taken for damage, by threshold."""
    lines = []
    with torch.inference_mode():
        scored = []
        for clean, worn in pairs:
            height, width = (side // 4 * 4 for side in clean.shape)
            both = torch.stack((clean, worn))[:, None, :height, :width].float() / 255
            scored.append((net(both), (both[1] - both[0]).abs() > 8 / 255))
    for limit in (0.0, 1.0, 2.0, 3.0, 4.0):
        hit = sum(float(((odds[1] > limit) & truth).sum()) for odds, truth in scored)
        said = sum(float((odds[1] > limit).sum()) for odds, _ in scored)
        there = sum(float(truth.sum()) for _, truth in scored)
        false = np.mean([float((odds[0] > limit).float().mean()) for odds, _ in scored])
        lines.append(f"{limit}: F1 {2 * hit / max(1.0, said + there):.3f} found {hit / there:.3f} sound {false:.4%}")
    return "; ".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--go-on", type=Path, metavar="WEIGHTS", help="train these further")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    files = sorted(args.photos.iterdir())
    learnt = [path for number, path in enumerate(files) if number % 7 not in (3, 5)]
    learnt = learnt[:: max(1, len(learnt) // args.pictures)]
    held = [path for number, path in enumerate(files) if number % 7 == 3][::20]
    judged = [pair(path, 100_000 + number) for number, path in enumerate(held)]
    started, random = time.monotonic(), np.random.default_rng(SEED)
    pairs = [pair(path, number) for number, path in enumerate(learnt[: args.pictures])]
    print(f"{len(pairs)} pictures made in {time.monotonic() - started:.0f} s", flush=True)
    net = MarkNet()
    torch.nn.init.constant_(net.last.bias, -4.0)
    if args.go_on:
        net.load_state_dict(load_file(args.go_on))
    best = torch.optim.Adam(net.parameters(), 3e-3)
    ends, step, told = time.monotonic() + 60 * args.minutes, 0, 0.0
    begun = time.monotonic()
    while time.monotonic() < ends:
        share = (time.monotonic() - begun) / (60 * args.minutes)
        for group in best.param_groups:
            group["lr"] = 3e-3 * min(1.0, 0.05 + 1.1 * (1 - share))
        shown, truth = crops(pairs, 8, random)
        loss = F.binary_cross_entropy_with_logits(net(shown), truth, weight=1 + 2 * truth)
        best.zero_grad()
        loss.backward()
        best.step()
        step += 1
        if time.monotonic() - told > 120:
            told = time.monotonic()
            save_file(net.state_dict(), args.out)
            print(f"{step} steps, loss {float(loss.detach()):.4f}", flush=True)
    save_file(net.state_dict(), args.out)
    print(f"{step} steps; {report(net, judged)}", flush=True)


if __name__ == "__main__":
    main()
