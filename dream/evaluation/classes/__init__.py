"""Tasks on pictures with classes: probe, neighbours, few shots, zero shots, fine-tuning, robustness."""
