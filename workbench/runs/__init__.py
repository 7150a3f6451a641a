"""Training runs: their settings, state, curves, samples, comparisons and notes."""
