"""Stored pictures with captions as rows of a Corpus: folders, tar shards, hub sets, and what their files look like."""
