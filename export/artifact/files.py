"""Files of an artifact: names, hashes and publication."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lvt.errors import UserError
from lvt.support.files import directory_lock, file_sha256, publish, publish_folder
from lvt.support.validation import json_text


def manifest_path(model: Path) -> Path:
    """Where the manifest of a model file stands: `<file>.json`."""
    return model.parent / f"{model.name}.json"


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Writes a manifest, readable for people too."""
    path.write_text(json_text(manifest) + "\n", "utf-8")


def _contents(model: Path) -> list[Path]:
    """The files of a model: itself, or where it is a folder (Core ML), all below it, sorted."""
    if not model.is_dir():
        return [model]
    files = (path for path in model.rglob("*") if path.is_file() and path.name != ".DS_Store")
    return sorted(files, key=lambda path: path.relative_to(model).as_posix())


def content_bytes(model: Path) -> int:
    """Size of a model file or folder."""
    return sum(path.stat().st_size for path in _contents(model))


def content_sha256(model: Path) -> str:
    """Hex digest of a model file; of a folder, over `digest  relative/name` lines of its
    files, in the order of the names; a Mac's .DS_Store is none of them."""
    if not model.is_dir():
        return file_sha256(model)
    lines = (
        f"{file_sha256(path)}  {path.relative_to(model).as_posix()}\n" for path in _contents(model)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def publish_artifact(file: Path, destination: Path) -> None:
    """Moves a finished model and its manifest to their final names.

    The manifest goes last: without it nothing is an artifact. Two processes that publish the same
    artifact do so one after the other, so that file and manifest are of one of them.

    Raises:
        UserError: the destination is taken by something that is not a model of this kind.
    """
    if manifest_path(destination).is_dir():
        raise UserError(f"{manifest_path(destination)} is a folder, and in the manifest's place")
    with directory_lock(destination.parent):
        (publish_folder if file.is_dir() else publish)(file, destination)
        publish(manifest_path(file), manifest_path(destination))
