"""Tasks on painted pictures: prompts, generation, selection, choosing, headroom."""
