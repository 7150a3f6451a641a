"""How folders of labelled pictures are laid out: which folder is a class, a split, or only a wrapper."""
