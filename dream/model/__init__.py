"""The model: tokens, conditioning, encoder, joint space, decoder and head; `dream.py` wires them."""
