"""DREAM: one model for contrastive alignment and masked generation of pictures.

Importing the package takes milliseconds and does not import torch. Import it before timm, transformers or
diffusers, which import torchvision (see `dream.torchvision_shim`).
"""

import os

from dream import torchvision_shim

__version__ = "0.1.0"
IDLE_SPINS = "20000"
"""How often a waiting OpenMP thread spins before it sleeps. By default it spins so long that any other busy
process slows torch's threads tenfold; without spinning, small operations wait for threads to wake and take a
third longer.
"""

torchvision_shim.install()
os.environ.setdefault("GOMP_SPINCOUNT", IDLE_SPINS)  # read when torch is imported, which is later
