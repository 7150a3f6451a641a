"""The judge of drawn pictures: its network, its training, and its agreement with known answers."""
