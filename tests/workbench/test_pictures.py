"""Pictures in data URLs come back as they were."""

import base64
import io

import numpy as np
from PIL import Image

from workbench.pictures import exact_url


def test_a_data_url_holds_every_pixel_of_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (3, 5, 7)).astype(np.uint8)
    url = exact_url(picture)
    assert url.startswith("data:image/png;base64,iVBOR")
    opened = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    assert (opened == picture.transpose(1, 2, 0)).all()
