"""Mask ratios over a training: settings, closed form and draws."""
