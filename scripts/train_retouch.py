"""Train the network that finds damage in single pictures, `retouch-marks`.

    python scripts/train_retouch.py ../shared/train/photos --minutes 25 --out retouch-marks.safetensors

Photographs as luma, some soft, grainy, pale or compressed like old ones, are damaged by `restore.damage.creases` with
seeds of their own; half of every batch is left sound. Of the sound crops most are chosen for their thin lines (hair,
wires, text, railings), and those that were taken for damage are shown again. New pictures are made while it learns, so
that it sees each only a few dozen times. Of every seven photographs the fourth and the sixth are never shown.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from restore.damage.creases import PrintDamage
from restore.nets.marks import MarkNet

CROP = 128
BATCH = 12
POOL = 300
"""Damaged pictures held at a time."""
AGAIN = 64
"""Sound crops held that were taken for damage."""
RATE = 3e-3
STEADY = 0.995
"""What is kept is the running mean of the weights over some two hundred steps."""
SEED = 30_000


class Worn(NamedTuple):
    """A picture sound and damaged, (H, W) of 8 bits, and how thin-lined its sound places are."""

    sound: Tensor
    worn: Tensor
    thin: np.ndarray


def pair(path: Path, number: int) -> Worn:
    """A photograph with a look and with damage that differ from time to time."""
    random = np.random.default_rng((SEED, number))
    loaded = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert loaded is not None, path
    short = min(*loaded.shape, random.uniform(300, 540))
    scale = short / min(loaded.shape)
    luma = cv2.resize(loaded, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    luma **= np.float32(np.exp(random.normal(0, 0.25)))
    if random.random() < 0.5:
        luma = cv2.GaussianBlur(luma, (0, 0), random.uniform(0.4, 1.3))
    pale = random.uniform(0.55, 1.0)
    sound = torch.from_numpy(luma * pale + np.float32(random.uniform(0, 1 - pale)))
    much, wide = np.exp(random.uniform(-0.5, 1.1)), random.uniform(0.7, 1.2) * 480 / short
    damage = PrintDamage(
        SEED + number, 6 * much, min(2.0, much), 30 * much, 1.5 * much, (0.6 * wide, 2 * wide), (0.8 * wide, 3.2 * wide)
    )
    both = [sound.numpy(), damage.apply(sound[None, None])[0, 0].numpy()]
    if random.random() < 0.4:  # the scanner's softness
        blur = random.uniform(0.3, 0.8)
        both = [cv2.GaussianBlur(one, (0, 0), blur) for one in both]
    grain = random.normal(0, random.uniform(0, 0.035), sound.shape).astype(np.float32)
    if random.random() < 0.5:
        grain = 1.5 * cv2.GaussianBlur(grain, (0, 0), random.uniform(0.4, 0.9))
    eight = [np.clip((one + grain) * 255 + 0.5, 0, 255).astype(np.uint8) for one in both]
    if random.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(60, 96))]
        eight = [cv2.imdecode(cv2.imencode(".jpg", one, quality)[1], cv2.IMREAD_GRAYSCALE) for one in eight]
    square = np.ones((9, 9), np.uint8)
    lines = sum(cv2.morphologyEx(eight[0], kind, square) for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT))
    thin = cv2.resize(np.maximum(lines.astype(np.float32) - 24, 0), None, fx=0.125, fy=0.125, interpolation=3)
    return Worn(torch.from_numpy(eight[0]), torch.from_numpy(eight[1]), cv2.blur(thin, (16, 16)))


def place(one: Worn, random: np.random.Generator, tries: int) -> tuple[slice, slice]:
    """A crop; of several tries the one with most thin lines."""
    height, width = one.sound.shape
    corners = [(int(random.integers(height - CROP + 1)), int(random.integers(width - CROP + 1))) for _ in range(tries)]

    def lines(corner: tuple[int, int]) -> float:
        row, column = ((side + CROP // 2) // 8 for side in corner)
        return float(one.thin[min(row, len(one.thin) - 1), min(column, one.thin.shape[1] - 1)])

    top, left = max(corners, key=lines)
    return slice(top, top + CROP), slice(left, left + CROP)


def batch(pool: list[Worn], again: list[Tensor], random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Luma, truth, and what a pixel counts for, (N, 1, H, W); the latter half is sound."""
    shown, truths, counts = [], [], []
    for number in range(BATCH):
        one = pool[int(random.integers(len(pool)))]
        if number < BATCH // 2:
            box = place(one, random, 1)
            crop = one.worn[box].float() / 255
            apart = (crop - one.sound[box].float() / 255).abs()
            truth = apart > 8 / 255
            count = (truth | (apart < 3 / 255)).float()
        else:
            crop = one.sound[place(one, random, 1 + number % 4)].float() / 255
            if len(again) == AGAIN and number >= BATCH - 2:
                crop = again[int(random.integers(AGAIN))]
            truth, count = torch.zeros(CROP, CROP, dtype=torch.bool), torch.ones(CROP, CROP)
        turn, flip = int(random.integers(4)), bool(random.integers(2))
        for kept, plane in ((shown, crop), (truths, truth.float()), (counts, count)):
            turned = plane.rot90(turn)
            kept.append(turned.flip(0) if flip else turned)
    return tuple(torch.stack(planes)[:, None] for planes in (shown, truths, counts))


def loss_of(odds: Tensor, truth: Tensor, count: Tensor) -> Tensor:
    """Cross-entropy, and the share of damage and finds that do not overlap (Dice), which thin damage moves as much."""
    cross = (F.binary_cross_entropy_with_logits(odds, truth, reduction="none") * count).mean()
    said = odds.sigmoid() * count
    overlap = (2 * (said * truth).sum() + 1) / (said.sum() + truth.sum() + 1)
    return 10 * cross + 0.5 * (1 - overlap)


def remember(again: list[Tensor], shown: Tensor, odds: Tensor, random: np.random.Generator) -> None:
    """Keep the sound crop that was most taken for damage."""
    wrong = odds[BATCH // 2 :].relu().mean((1, 2, 3))
    worst = int(wrong.argmax())
    if wrong[worst] > 0:
        crop = shown[BATCH // 2 + worst, 0]
        if len(again) < AGAIN:
            again.append(crop)
        else:
            again[int(random.integers(AGAIN))] = crop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--go-on", type=Path, metavar="WEIGHTS", help="train these further")
    parser.add_argument("--seed", type=int, default=1, help="another one shows other crops and damage")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    random = np.random.default_rng((SEED, args.seed))
    files = [path for number, path in enumerate(sorted(args.photos.iterdir())) if number % 7 not in (3, 5)]
    made, pool, again = args.seed * 100_000, [], []
    net = MarkNet()
    torch.nn.init.constant_(net.last.bias, -3.0)
    if args.go_on:
        net.load_state_dict(load_file(args.go_on))
    net = net.to(memory_format=torch.channels_last)
    mean = {name: value.detach().clone() for name, value in net.state_dict().items()}
    best = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-3)
    begun = told = time.monotonic()
    step, losses = 0, 0.0
    while (share := (time.monotonic() - begun) / (60 * args.minutes)) < 1:
        for _ in range(40 if not pool else int(step % 3 == 0)):
            new = pair(files[int(random.integers(len(files)))], made)
            made += 1
            if len(pool) < POOL:
                pool.append(new)
            else:
                pool[made % POOL] = new
        for group in best.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50) * (0.01 + 0.99 * (1 + np.cos(np.pi * share)) / 2)
        shown, truth, count = batch(pool, again, random)
        with torch.autocast("cpu", torch.bfloat16):
            odds = net(shown.contiguous(memory_format=torch.channels_last))
        odds = odds.float()
        loss = loss_of(odds, truth, count)
        best.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        best.step()
        step += 1
        remember(again, shown, odds.detach(), random)
        for name, value in net.state_dict().items():
            mean[name].lerp_(value, max(1 - STEADY, 1 / step))
        losses += float(loss.detach())
        if step % 100 == 0:
            print(
                f"{step} steps, {made % 100_000} pictures, {time.monotonic() - begun:.0f} s, {losses / 100:.4f}",
                flush=True,
            )
            losses = 0.0
            if time.monotonic() - told > 60:
                told = time.monotonic()
                save_file({name: value.contiguous() for name, value in mean.items()}, args.out)
    save_file({name: value.contiguous() for name, value in mean.items()}, args.out)
    print(f"{step} steps", flush=True)


if __name__ == "__main__":
    main()
