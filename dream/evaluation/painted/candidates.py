"""Recorded candidates and what a choice among them costs.

Cost is counted as DREAM does (docs/method.md, Decoding): in decoding steps of one candidate (an encoder and a decoder
pass each), relative to those of one plain sample. Choosing among K after s of S steps costs 1 + (K - 1) s / S: K = 5
costs 1.5x at step 8 of 64. Reranking costs K. The scores cost nothing, because their encoder pass is also that of the
next step (except for dropped candidates, and the finished picture).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEADLINE = 0.3
"""Share of the tokens decoded at the headline's choice (the first step that reaches it)."""
MARKED = (0.125, 0.25, 0.3, 0.5)
"""Shares of the tokens; the first step that reaches each is marked."""


@dataclass(frozen=True)
class Candidates:
    """K finished candidates of P prompts, and their scores during decoding."""

    scores: NDArray[np.float32]
    """(T, P, K): cosine of the partial picture and its caption after each step that reveals tokens."""
    steps: tuple[int, ...]
    """(T) steps done when scored."""
    decoded: tuple[float, ...]
    """(T) share of the tokens decoded then."""
    right: NDArray[np.bool_] | None = None
    """(P, K): every attribute is right; malformed objects count as what they resemble most. None without a judge."""
    well_formed: NDArray[np.bool_] | None = None
    """(P, K): right, and nothing malformed."""

    def first_with(self, share: float) -> int:
        """Index of the first step with at least this share of the tokens decoded."""
        return next(i for i, decoded in enumerate(self.decoded) if decoded >= share - 1e-9)

    def cost(self, size: int, index: int) -> float:
        """Cost, in plain samples, of a choice among `size` candidates after the step at `index`."""
        return 1 + (size - 1) * (index + 1) / len(self.steps)


@dataclass(frozen=True)
class Longer:
    """One sample per prompt in more steps, for about the cost of a choice."""

    steps: int
    """Steps that each reveal something, so at most as many as there are tokens."""
    cost: float
    """Cost in plain samples."""
    right: NDArray[np.bool_]
    """(P,) as in Candidates."""
    well_formed: NDArray[np.bool_]
    """(P,) as in Candidates."""
