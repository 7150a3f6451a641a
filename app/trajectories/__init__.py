"""The Trajectories page."""
