"""Evaluations: the plan of one, its progress, its results and their table."""
