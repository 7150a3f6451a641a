"""Tasks on painted pictures: prompts, generation, selection, headroom."""
