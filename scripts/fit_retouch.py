"""What `retouch` finds at which thresholds, on photographs that neither training nor the benchmark sees.

    python scripts/fit_retouch.py ../shared/train/photos retouch-marks.safetensors

Of every seven photographs the sixth serves here, the fourth the benchmark, the rest the training. `SURE` and `FAINT` of
`restore.stages.retouch.detect` are read off this table: the best F1 at which sound pictures are left alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from film_dust import changed, grown, quantised
from film_fading import picture

from restore.analysis.flow import luma_of
from restore.damage.creases import PrintDamage
from restore.stages.retouch.detect import load_net, mask_of, odds_of

SEED = 41_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--pictures", type=int, default=36)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = load_net(args.weights)
    held = [path for number, path in enumerate(sorted(args.photos.iterdir())) if number % 7 == 5]
    scored = []
    for number, path in enumerate(held[:: max(1, len(held) // args.pictures)]):
        clean = quantised(picture(path))
        worn = quantised(PrintDamage(seed=SEED + number).apply(clean))
        odds = [odds_of(net, luma_of(one.numpy())[0]) for one in (clean, worn)]
        scored.append((odds[0], odds[1], changed(worn, clean)))
    print("| sure | faint | F1 | precision | found | sound: mean, worst % |\n|---|---|---|---|---|---|")
    for sure in (1.0, 3.0, 5.0):
        for faint in (-1.0, 0.0, 1.0, 2.0):
            if faint > sure:
                continue
            masks = [(mask_of(sound, sure, faint), mask_of(worn, sure, faint)) for sound, worn, _ in scored]
            said = hit = there = got = 0.0
            for (_, mask), (_, _, truth) in zip(masks, scored, strict=True):
                said, there = said + mask.sum(), there + truth.sum()
                hit, got = hit + (mask & grown(truth)[0]).sum(), got + (truth[0] & grown(mask[None])[0]).sum()
            precision, found = hit / max(1, said), got / max(1, there)
            score = 2 * precision * found / max(1e-9, precision + found)
            sound = [100 * float(mask.mean()) for mask, _ in masks]
            print(
                f"| {sure:g} | {faint:g} | {score:.3f} | {precision:.3f} | {found:.3f} "
                f"| {np.mean(sound):.3f}, {max(sound):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
