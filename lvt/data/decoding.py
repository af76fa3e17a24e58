"""Decoding of picture files to 8 bits a channel, in the formats of cameras and data sets.

`PICTURE_FORMATS` is the single list of formats, for every reader. Pillow opens more formats, some
by starting other programs such as Ghostscript; those are not used.
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
"""File name suffixes by Pillow's name of the format.

HEIF needs the extra `[heic]`; AVIF needs a Pillow that was built with AVIF support.
"""

PICTURE_SUFFIXES = frozenset(suffix for suffixes in PICTURE_FORMATS.values() for suffix in suffixes)
BASE_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
"""The formats that every installation decodes."""

DEFAULT_MAX_PIXELS = 256_000_000
"""Limit of a picture's pixels, unless `LVT_MOST_PIXELS` is set. Phone cameras reach 200 million.

A picture takes 3 bytes a pixel, and as much again while it is resized.
"""


class PictureError(ValueError):
    """The data cannot be decoded as a picture; the message says why."""


@contextmanager
def open_picture(
    source: Path | IO[bytes], formats: tuple[str, ...] = BASE_FORMATS
) -> Iterator[Image.Image]:
    """Opens a picture for the body, without decoding its pixels.

    Raises:
        PictureError: the picture cannot be opened, or the body fails.
        FileNotFoundError: there is no such file.
    """
    try:
        with (
            _without_pillow_size_limit(),
            Image.open(source, formats=(*formats, *_optional_format(source))) as picture,
        ):
            yield picture
    except (FileNotFoundError, PictureError):
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged data
        raise PictureError(str(error) or type(error).__name__) from error


@contextmanager
def _without_pillow_size_limit() -> Iterator[None]:
    """Lifts Pillow's size limit, which large phone pictures exceed; `decode` has its own limit."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _optional_format(source: Path | IO[bytes]) -> tuple[str, ...]:
    """AVIF or HEIF if the file has that format; empty for other formats.

    Raises:
        PictureError: the file has that format, and this installation cannot decode it.
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
            raise PictureError("it is AVIF, which this Pillow cannot decode: install Pillow 12")
        return ("AVIF",)
    if find_spec("pillow_heif") is None:
        raise PictureError(
            "it is HEIC, which needs another library: pip install 'lvt-mobile[heic]', or save it "
            "as JPEG"
        )
    import pillow_heif

    pillow_heif.register_heif_opener()
    return ("HEIF",)


def decode(
    source: Path | IO[bytes],
    formats: tuple[str, ...] = BASE_FORMATS,
    max_pixels: int | None = None,
) -> NDArray[np.uint8]:
    """Upright RGB (H, W, 3) uint8: EXIF orientation applied, transparency dropped.

    Of an animation, the first picture is decoded.

    Args:
        source: file, or stream at its beginning.
        formats: the formats to accept, beside AVIF and HEIF.
        max_pixels: limit of pixels; None for `LVT_MOST_PIXELS` or `DEFAULT_MAX_PIXELS`.

    Raises:
        PictureError: not a picture, too many pixels, or 32 bits a channel.
        FileNotFoundError: there is no such file.
    """
    try:
        return _decode(source, formats, max_pixels)
    except PictureError:
        if isinstance(source, Path):
            complete = _decode_without_end_marker(source)
            if complete is not None:
                return complete
        raise


def _decode(
    source: Path | IO[bytes], formats: tuple[str, ...], max_pixels: int | None
) -> NDArray[np.uint8]:
    with open_picture(source, formats) as picture:
        _check_pixels(picture, max_pixels)
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I;16"):
            # Pillow would clip at 255. For 16-bit colours, it takes the upper byte.
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        elif upright.mode in ("I", "F"):
            raise PictureError("32 bits a channel; save it with 8")
        return np.asarray(upright.convert("RGB"))


def _check_pixels(picture: Image.Image, limit: int | None) -> None:
    remedy = ""
    if limit is None:
        try:
            limit = int(os.environ.get("LVT_MOST_PIXELS", DEFAULT_MAX_PIXELS))
        except ValueError as error:
            raise PictureError("the variable LVT_MOST_PIXELS is not a number") from error
        remedy = "; make it smaller, or set the variable LVT_MOST_PIXELS"
    if picture.width * picture.height > limit:
        raise PictureError(
            f"{picture.width}x{picture.height} pixels are too many, at most {limit}{remedy}"
        )


def _decode_without_end_marker(path: Path) -> NDArray[np.uint8] | None:
    """The picture of a JPEG file that lacks its last bytes but no pixel; None for other files.

    To find out whether pixels are missing, the file is decoded with two different endings: only
    a picture with all its pixels comes out the same. Progressive files are not read, because each
    of their passes is a complete picture with less detail.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError):  # a folder, for example: Pillow's message is better
        return None
    if not content.startswith(b"\xff\xd8") or content.endswith(b"\xff\xd9"):
        return None
    content = content.removesuffix(b"\xff")
    try:
        with open_picture(path, ("JPEG",)) as picture:
            if picture.info.get("progressive"):
                return None
        first, second = (
            _decode(io.BytesIO(content + filling + b"\xff\xd9"), ("JPEG",), None)
            for filling in (b"", b"\x5a\xa5" * 64)
        )
    except PictureError:
        return None
    return first if np.array_equal(first, second) else None
