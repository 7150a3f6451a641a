"""Models for others: a folder with weights, settings and a model card, and the hub that it may lie on."""
