"""Forecast of a training before it starts: memory, arithmetic, hours, energy, and what it leaves on the disk."""
