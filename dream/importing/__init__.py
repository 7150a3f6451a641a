"""Weights that others have trained: the authors' checkpoints, MAR's and open_clip's text towers, as models of ours."""
