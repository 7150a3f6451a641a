"""Masking over a training: settings, closed form and draws of the mask ratio."""
