"""Training: the loop, its optimiser, a run's files on disk, and the budget in minutes."""
