"""Pictures drawn from a seed: their grammar, how they are drawn, and the endless source of them."""
