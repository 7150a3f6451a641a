"""The trajectories page, a file per part of it."""
