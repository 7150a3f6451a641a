"""The Masking page."""
