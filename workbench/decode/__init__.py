"""One decode: request, painting, the player's data, exports, and settings read back from a file."""
