"""Pictures and masks for tests of data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lvt.data.images import packaged_photos, read_image

GREY = np.full((4, 6, 3), 90, np.uint8)
PHOTO = read_image(packaged_photos()[0])[:60, :80]
MASK = np.arange(60 * 80).reshape(60, 80) % 3


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    """Writes a picture and creates its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path, **options)
    return path
