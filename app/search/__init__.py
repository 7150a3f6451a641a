"""The Search page, one file per section."""
