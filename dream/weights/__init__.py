"""Weights in files, ours and foreign: safe reading, sets of shards, and the check that values are numbers."""
