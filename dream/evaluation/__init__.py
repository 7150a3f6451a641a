"""Measures of trained models, each with its interval. `tasks` lists them, `session` measures."""
