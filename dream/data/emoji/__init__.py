"""Emoji in six artists' styles: built on this machine from the artists' own packages, then read as a Corpus."""
