"""Sources of captioned pictures: opening, browsing, statistics."""
