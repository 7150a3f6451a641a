"""The checkpoints page, a file per part of it."""
