"""Seeds of everything drawn, as a function of their purpose: (seed, purpose, step, rank, ...).

No random stream keeps a state between steps, so a run continues exactly from weights, optimiser and data
position.
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
