"""Seeds of everything drawn, as a function of what it is for: (seed, purpose, step, rank, ...).

Nothing keeps the state of a random stream between steps, so that a run goes on exactly from weights,
optimiser and data position. It knows nothing of what is drawn.
"""

import hashlib

from torch import Generator


def seed_of(*parts: int | str) -> int:
    """A seed in [0, 2^63) that depends on every part and on their order; the same on every machine."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(*parts: int | str) -> Generator:
    """A fresh CPU generator seeded with `seed_of(*parts)`."""
    return Generator().manual_seed(seed_of(*parts))
