"""The runs page, a file per part of it."""
