"""The decode page, a file per part of it."""
