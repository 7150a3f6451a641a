"""The Decode page."""
