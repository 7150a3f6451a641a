"""Captioned pictures: their sources (shapes, folders, tar shards, hub sets), and captions as token ids."""
