"""The masking page, a file per part of it."""
