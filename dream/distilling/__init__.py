"""Distillation of a trained diffusion head into one to a few denoising steps; all else of the model is frozen."""
