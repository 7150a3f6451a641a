"""Caches of what frozen models make of pictures and captions, in zarr 3: written once, trained from often."""
