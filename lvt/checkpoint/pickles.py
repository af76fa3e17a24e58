"""Reads files of `torch.save` without running code from them (`weights_only`).

Objects that training frameworks save beside the weights are replaced by objects that do nothing.
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import re
import tarfile
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lvt.checkpoint.suffixes import CHECKPOINT_SUFFIXES
from lvt.errors import UserError

_HARMLESS_CLASSES: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    argparse.Namespace,  # timm saves its command line
    types.SimpleNamespace,
    np.ndarray,
    np.dtype,
    *(getattr(np.dtypes, name) for name in np.dtypes.__all__ if name.endswith("DType")),
    # These functions only build scalars and arrays of numbers from bytes.
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    (np._core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),  # type: ignore[attr-defined]
    np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
]


class Ignored:
    """Replaces an object that is not needed; accepts all arguments and any state."""

    def __new__(cls, *_args: Any, **_options: Any) -> Ignored:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_options: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


IGNORED_CLASSES = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    # The pickle looks up methods of the class above by name. `Ignored` looks up nothing.
    "builtins.getattr",
    "__builtin__.getattr",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "datetime.datetime",
    "datetime.timedelta",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.nodes.AnyNode",
    "typing.Any",
)
"""Classes and functions of training frameworks that are replaced by `Ignored`."""

IGNORED_MAPPINGS = (
    "mmengine.config.config.ConfigDict",
    "mmcv.utils.config.ConfigDict",
    "addict.addict.Dict",
    "easydict.EasyDict",
    "yacs.config.CfgNode",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
"""Dictionary classes of training frameworks that are read as ordinary dictionaries."""


def load_pickle(path: Path) -> Any:
    """The content of a file that `torch.save` wrote.

    Raises:
        UserError: the file has another format, is damaged, or needs a class that is not known to be
            harmless.
    """
    if kind := _other_kind(path):
        raise UserError(f"{path.name} is {kind}")
    reject_zip_bomb(path)
    ignored: list[Any] = [(Ignored, name) for name in IGNORED_CLASSES]
    ignored += [(OrderedDict, name) for name in IGNORED_MAPPINGS]
    try:
        with torch.serialization.safe_globals([*_HARMLESS_CLASSES, *ignored]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds of errors for damaged data
        text = str(error)
        blocked = re.search(r"(?:Unsupported global|GLOBAL) ?:?\s*(?:GLOBAL )?(\S+)", text)
        if "Weights only load failed" in text and blocked:
            raise UserError(
                f"reading {path.name} would run {blocked[1]}; refused. "
                "Save only tensors and plain values (torch.save(model.state_dict(), ...))"
            ) from error
        kind = "damaged or cut short" if zipfile.is_zipfile(path) or _head(path, 2) == b"PK" else ""
        raise UserError(
            f"{path.name} is {kind or 'not a PyTorch or safetensors checkpoint'}"
        ) from error


def reject_zip_bomb(path: Path) -> None:
    """Refuses a zip file that would unpack to more bytes than it has.

    torch.save does not compress, so that such a file is made to exhaust the memory.

    Raises:
        UserError: the file is such a zip file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except Exception:  # not a zip file, or damaged: the error of torch.load is better
        return
    if unpacked > path.stat().st_size:
        raise UserError(
            f"{path.name} would unpack to {unpacked} bytes, more than the file has; refused. "
            "Save it with torch.save"
        )


def _head(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(count)


_UNPACK = "unpack it and give the checkpoint inside"
_MAGIC = {
    b"\x1f\x8b": f"packed with gzip: {_UNPACK}",
    b"BZh": f"packed with bzip2: {_UNPACK}",
    b"\xfd7zXZ\x00": f"packed with xz: {_UNPACK}",
    b"\x28\xb5\x2f\xfd": f"packed with zstd: {_UNPACK}",
    b"7z\xbc\xaf\x27\x1c": f"a 7z archive: {_UNPACK}",
    b"Rar!\x1a\x07": f"a RAR archive: {_UNPACK}",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes them; LVT checkpoints are PyTorch's",
    b"version https://git-lfs": "a Git LFS pointer, not the file: fetch it with git lfs pull",
}


def _other_kind(path: Path) -> str | None:
    """The format of a file that cannot be a checkpoint; None if it may be one."""
    head = _head(path, 1024)
    if not head:
        return "an empty file"
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--")):
        return (
            "a web page, saved in place of the checkpoint (a login or confirmation page, perhaps): "
            "download the file itself"
        )
    if head.startswith(b"PK"):
        return _zip_kind(path)
    if len(head) > 262 and head[257:262] == b"ustar" and tarfile.is_tarfile(path):
        return _tar_kind(path)
    return None


def _zip_kind(path: Path) -> str | None:
    """The format of a zip file without `<name>/data.pkl`, which torch.save writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except Exception:  # damaged: torch.load raises an error
        return None
    if any(re.fullmatch(r"(?:[^/]+/)?(?:data|constants)\.pkl", name) for name in names):
        return None
    return _archive("zip", names)


def _tar_kind(path: Path) -> str | None:
    """The format of a tar file that no early version of torch.save wrote."""
    try:
        with tarfile.open(path) as archive:
            names = archive.getnames()
    except (tarfile.TarError, OSError, EOFError, gzip.BadGzipFile, lzma.LZMAError):
        return "a damaged tar archive"
    return None if {"storages", "tensors"} <= set(names) else _archive("tar", names)


def _archive(kind: str, names: list[str]) -> str:
    """Describes an archive with files of these names, and what to do with it."""
    checkpoints = [name for name in names if name.endswith(CHECKPOINT_SUFFIXES)]
    checkpoint = checkpoints[0] if checkpoints else "the checkpoint"
    return f"a {kind} archive: unpack it and give {checkpoint} inside it"
