"""Evaluations: plan, progress, results and their table."""
