"""The data page, a file per part of it."""
