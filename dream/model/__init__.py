"""The model: image tokens, conditioning, encoder, joint space, decoder and diffusion head, wired in `dream.py`."""
