"""Sources of captioned pictures: opening, browsing, counting what they hold."""
