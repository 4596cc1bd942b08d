"""Synthetic film damage, seeded and batched: for training, tests, benchmarks and samples.

One module a kind (optics, grain, compression, tone), `Damage` for a film's whole recipe, `sampling` for random ones.
"""

from restore.damage.recipe import Damage
from restore.damage.sampling import sample_clean, sample_film

__all__ = ["Damage", "sample_clean", "sample_film"]
