"""The Train page, one file per section."""
