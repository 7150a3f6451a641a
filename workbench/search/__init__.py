"""Pictures searched by text or by picture, and what carries a similarity."""
