"""Repair (a departure): finished tokens that the head believes in least are hidden again and drawn once more.

Which ones they are costs FOLDS decoder passes, and drawing them again one. A decode with repair therefore reveals its
tokens in so many steps fewer: it has as many decoder passes as one without (reasons: arXiv 2606.28301).
"""

from dataclasses import replace

import torch

from dream.decoding.context import DecodeContext
from dream.decoding.scores import token_errors
from dream.decoding.state import DecodeState


@torch.no_grad()
def hide_least_confident(context: DecodeContext, state: DecodeState, count: int, given: int = 0) -> DecodeState:
    """The finished rows with the `count` tokens hidden that the head recovers worst from the others.

    The last `given` tokens of every order belong to a given picture and are never hidden.
    """
    errors = token_errors(context, state)  # (R, N)
    num_tokens = errors.shape[1]
    errors = errors.scatter(1, state.order[:, num_tokens - given :], float("-inf"))
    worst = errors.argsort(dim=1, descending=True, stable=True)[:, :count]
    mask = torch.zeros_like(state.mask).scatter(1, worst, True)
    tokens = state.tokens.masked_fill(mask.unsqueeze(-1), 0.0)
    return replace(state, tokens=tokens, mask=mask, encoded=None, memory=None)
