"""The search page, a file per part of it."""
