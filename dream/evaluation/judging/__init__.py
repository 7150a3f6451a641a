"""The judge of drawn pictures: its network, its training, and how far it can be trusted."""
