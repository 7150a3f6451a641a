"""Decoding: prompts into pictures, step by step, with a choice among candidates (Semantically Aligned
Decoding).

`decode` reveals tokens, `state` is what it works on, `selection` plans and makes the choice, `editing` starts
from a given picture, `record` stores a decode, `inspection` looks inside a stored one, `pictures` shows one.
`dream.published` holds the same algorithm without the savings.
"""
