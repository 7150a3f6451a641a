"""The train page, a file per part of it."""
