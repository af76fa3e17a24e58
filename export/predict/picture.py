"""Pictures as arguments: image files or pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lvt.data.images import read_image

Picture = str | Path | NDArray[np.uint8]
"""An image file, or (H, W, 3) uint8 RGB."""


def load_picture(picture: Picture) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a picture.

    Raises:
        UserError: the file cannot be read.
    """
    return read_image(Path(picture)) if isinstance(picture, str | Path) else picture
