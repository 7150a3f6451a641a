"""Processes of their own: a queue of jobs that outlives page and app, and commands run side by side."""
