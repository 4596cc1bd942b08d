"""Random damage, of the kinds and strengths films in archives have."""

from __future__ import annotations

import math
import random

from restore.damage.recipe import Damage


def sample_clean(random_source: random.Random) -> Damage:
    """A picture that is only small: any usual downscale, at times without its fine colours."""
    return Damage(
        kernel=random_source.choices(("bicubic", "area", "bilinear"), (6, 3, 1))[0],
        black_and_white=random_source.random() < 0.1,
        chroma_subsampled=random_source.random() < 0.25,
    )


def sample_film(random_source: random.Random) -> Damage:
    """An old film's transfer: each kind of damage is there or not, from barely visible to bad."""
    rnd = random_source
    colourless = rnd.random() < 0.4
    damage: dict[str, object] = {}
    if rnd.random() < 0.65:
        damage |= {"blur": rnd.uniform(0.2, 2.0) ** 1.3 * 0.9, "blur_aspect": math.exp(rnd.gauss(0, 0.2))}
        damage |= {"blur_angle": rnd.uniform(0, math.pi), "defocus": rnd.random() < 0.2}
    if rnd.random() < 0.25:
        damage["reduced"] = rnd.uniform(1.1, 2.5)
    if rnd.random() < 0.75:
        size = rnd.choice((0.0, rnd.uniform(0.3, 1.3)))
        damage |= {"grain": 0.005 + 0.085 * rnd.random() ** 1.5, "grain_size": size, "grain_color": rnd.random() * 0.5}
    if rnd.random() < 0.3:
        damage["sensor"] = 0.03 * rnd.random()
    if rnd.random() < 0.6:
        damage["jpeg"] = round(95 - 75 * rnd.random() ** 1.3)
    warmth = rnd.uniform(0, 0.12) if rnd.random() < 0.3 else 0.0
    return Damage(
        seed=rnd.getrandbits(32),
        black_and_white=colourless,
        tint=(1 + warmth * 0.4, 1.0, 1 - warmth),
        fade=rnd.uniform(0, 0.4) if rnd.random() < 0.4 else 0.0,
        kernel=rnd.choices(("bicubic", "area", "bilinear"), (4, 3, 3))[0],
        chroma_subsampled=rnd.random() < 0.5,
        **damage,  # type: ignore[arg-type]
    )
