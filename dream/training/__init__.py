"""Training: the loop, its optimiser, what a run leaves on disk, and the budget in minutes."""
