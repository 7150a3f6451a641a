"""The evaluate page, a file per part of it."""
