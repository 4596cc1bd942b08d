"""Synthetic film damage, seeded and batched: for training, tests, benchmarks and samples.

One module a kind (optics, grain, compression, tone), `Damage` for a film's whole recipe, `sampling` for random ones;
`Dust` and `Scratches` lie on top of it.
"""

from restore.damage.dust import Dust
from restore.damage.recipe import Damage
from restore.damage.sampling import sample_clean, sample_film
from restore.damage.scratches import Scratches

__all__ = ["Damage", "Dust", "Scratches", "sample_clean", "sample_film"]
