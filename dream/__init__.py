"""DREAM: one model for contrastive alignment and masked generation of pictures.

Importing it takes milliseconds and no torch: each part imports what it needs where it is used. Import it
before timm, transformers or diffusers, which import torchvision (see `dream.torchvision_shim`).
"""

import os

from dream import torchvision_shim

__version__ = "0.1.0"
IDLE_SPINS = "20000"
"""Turns that a waiting OpenMP thread spins before it sleeps. Left to itself it spins so long that any other
busy process stalls torch's threads tenfold; without spinning, small operations wait for threads to wake (a
third slower).
"""

torchvision_shim.install()
os.environ.setdefault("GOMP_SPINCOUNT", IDLE_SPINS)  # read when torch is imported, which is later
