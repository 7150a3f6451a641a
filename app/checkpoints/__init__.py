"""The Checkpoints page, one file per section."""
