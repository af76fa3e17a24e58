"""Picture files in the formats that cameras and data sets come in, decoded to 8 bits a channel.

`PICTURE_FORMATS` is the one list of them, for every reader. Pillow opens more, some with the help
of other programs (Ghostscript); those are not asked.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, features

PICTURE_FORMATS: Mapping[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
}
"""Pillow's name to the suffixes. HEIF takes the extra `[heic]`, AVIF a Pillow that was built so."""

SUFFIXES = frozenset(suffix for suffixes in PICTURE_FORMATS.values() for suffix in suffixes)
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
"""Those that every installation decodes."""

MOST_PIXELS = 256_000_000
"""Of a picture, if `LVT_MOST_PIXELS` does not say otherwise: phones make pictures of 200 million.
A picture takes 3 bytes a pixel, and as much again while it is resized."""


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
        with (
            _without_pillows_limit(),
            Image.open(source, formats=(*formats, *_optional(source))) as picture,
        ):
            yield picture
    except (FileNotFoundError, PictureError):
        raise
    except Exception as error:  # decoders raise whatever damaged bytes lead to
        raise PictureError(str(error) or type(error).__name__) from error


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Pillow refuses pictures of today's phones as attacks; `decode` has a limit of its own."""
    kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = kept


def _optional(source: Path | IO[bytes]) -> tuple[str, ...]:
    """The format of a file that not every installation decodes.

    Raises:
        PictureError: this one does not.
    """
    if isinstance(source, Path):
        with source.open("rb") as stream:
            head = stream.read(32)
    else:
        head = source.read(32)
        source.seek(0)
    if head[4:8] != b"ftyp":
        return ()
    brands = head[8:32]
    if b"avif" in brands or b"avis" in brands:
        if not features.check("avif"):
            raise PictureError("it is AVIF, which this Pillow does not decode: install Pillow 12")
        return ("AVIF",)
    if find_spec("pillow_heif") is None:
        raise PictureError(
            "it is HEIC, which takes another library: pip install 'lvt-mobile[heic]', or save it "
            "as JPEG"
        )
    import pillow_heif

    pillow_heif.register_heif_opener()
    return ("HEIF",)


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
    try:
        return _decode(source, formats, most_pixels)
    except PictureError:
        if isinstance(source, Path) and (whole := _with_its_end(source)) is not None:
            return whole
        raise


def _decode(
    source: Path | IO[bytes], formats: tuple[str, ...], most_pixels: int | None
) -> NDArray[np.uint8]:
    with opened(source, formats) as picture:
        _check_pixels(picture, most_pixels)
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I;16"):
            # Pillow would clip at 255. The upper byte is what it takes of 16-bit colours.
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        elif upright.mode in ("I", "F"):
            raise PictureError("32 bits a channel; save it with 8")
        return np.asarray(upright.convert("RGB"))


def _check_pixels(picture: Image.Image, most: int | None) -> None:
    if most is None:
        try:
            most = int(os.environ.get("LVT_MOST_PIXELS", MOST_PIXELS))
        except ValueError as error:
            raise PictureError("the variable LVT_MOST_PIXELS is no number") from error
        raised = "; make it smaller, or set the variable LVT_MOST_PIXELS"
    else:
        raised = ""
    if picture.width * picture.height > most:
        raise PictureError(
            f"{picture.width}x{picture.height} pixels are too many, at most {most}{raised}"
        )


def _with_its_end(path: Path) -> NDArray[np.uint8] | None:
    """A JPEG that lacks its last bytes but no pixel; None for anything else.

    Whether a pixel is missing shows by what comes out with different bytes in the place of what is
    missing: only a whole picture does not depend on them. Progressive ones are left alone, for
    they are whole pictures, of less detail, after every pass.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError):  # a folder, say: what Pillow said of it is better
        return None
    if not content.startswith(b"\xff\xd8") or content.endswith(b"\xff\xd9"):
        return None
    content = content.removesuffix(b"\xff")
    try:
        with opened(path, ("JPEG",)) as picture:
            if picture.info.get("progressive"):
                return None
        one, other = (
            _decode(io.BytesIO(content + filling + b"\xff\xd9"), ("JPEG",), None)
            for filling in (b"", b"\x5a\xa5" * 64)
        )
    except PictureError:
        return None
    return one if np.array_equal(one, other) else None
