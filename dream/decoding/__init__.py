"""Decoding: turns prompts into pictures, step by step, with a choice among candidates.

`settings` determine a decode; `selection` plans its steps (Semantically Aligned Decoding). `decode` reveals tokens, on
the `state` of its rows, with `noise`, in a `context` that lasts for all steps; `paint` does so for prompts in
words. `editing` starts from a given picture. `record` and `record_writer` store a decode, `inspection` looks
inside a stored one; `previews`, `gallery` and `pictures` show one. `dream.published` holds the same algorithm
without the savings.
"""
