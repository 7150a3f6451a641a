"""The home page, a file per part of it."""
