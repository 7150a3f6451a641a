"""The Data page, one file per section."""
