"""DREAM: one model for contrastive alignment and masked generation of pictures.

Importing it takes milliseconds and no torch: each part imports what it needs where it is used. Import it
before timm, transformers or diffusers, which import torchvision (see `dream.torchvision_shim`).
"""

from dream import torchvision_shim

__version__ = "0.1.0"

torchvision_shim.install()
