"""The Runs page, one file per section."""
