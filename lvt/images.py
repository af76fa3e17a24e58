"""Picture files in the formats that cameras and data sets come in, decoded to 8 bits a channel.

Pillow opens more, some with the help of other programs (Ghostscript); those are not asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")


class PictureError(ValueError):
    """Not a picture that can be decoded; says why."""


@contextmanager
def opened(source: Path | IO[bytes], formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """A picture file while the body looks at it.

    Raises:
        PictureError: opening it or anything of the body fails.
        FileNotFoundError: there is none.
    """
    try:
        with Image.open(source, formats=formats) as picture:
            yield picture
    except (FileNotFoundError, PictureError):
        raise
    except Exception as error:  # decoders raise whatever damaged bytes lead to
        raise PictureError(str(error) or type(error).__name__) from error


def decode(
    source: Path | IO[bytes],
    formats: tuple[str, ...] = FORMATS,
    most_pixels: int | None = None,
) -> NDArray[np.uint8]:
    """Upright RGB (H, W, 3); of an animation the first picture, without transparency.

    Raises:
        PictureError: not a picture, one of more pixels, or of values without a known white.
        FileNotFoundError: there is none.
    """
    with opened(source, formats) as picture:
        if most_pixels is not None and picture.width * picture.height > most_pixels:
            raise PictureError(f"{picture.width}x{picture.height} pixels are too many")
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I;16"):
            # Pillow would clip at 255. The upper byte is what it takes of 16-bit colours.
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        elif upright.mode in ("I", "F"):
            raise PictureError("32 bits a channel; save it with 8")
        return np.asarray(upright.convert("RGB"))
