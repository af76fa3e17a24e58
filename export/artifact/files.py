"""Files of an artifact: names, hashes, publication, and keys of the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lvt.errors import UserError
from lvt.support.files import directory_lock, file_sha256, publish, publish_folder
from lvt.support.validation import json_text

SCHEMA = 1
"""Manifest schema. It increases when old readers would misread a new manifest."""

PARTS_SCHEMA = 2
"""Manifest schema of files in parts, which readers of `SCHEMA` alone cannot run."""

PAIR_SUMS = "pair_sums"
"""Manifest key of int8 ONNX files whose sums cannot saturate (`export.targets.onnx.saturation`)."""


def manifest_path(model: Path) -> Path:
    """Path of a model file's manifest: `<file>.json`."""
    return model.parent / f"{model.name}.json"


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Writes a manifest as indented JSON."""
    path.write_text(json_text(manifest) + "\n", "utf-8")


def content_files(model: Path) -> list[Path]:
    """The model file itself, or the sorted files of a model folder (Core ML, ONNX in parts)."""
    if not model.is_dir():
        return [model]
    files = (path for path in model.rglob("*") if path.is_file() and path.name != ".DS_Store")
    return sorted(files, key=lambda path: path.relative_to(model).as_posix())


def content_bytes(model: Path) -> int:
    """Size of a model file or folder, in bytes."""
    return sum(path.stat().st_size for path in content_files(model))


def content_sha256(model: Path) -> str:
    """Hex digest of a model file.

    For a folder: digest of the lines `digest  relative/name` of its files, sorted by name, without
    the .DS_Store files that macOS adds.
    """
    if not model.is_dir():
        return file_sha256(model)
    lines = (
        f"{file_sha256(path)}  {path.relative_to(model).as_posix()}\n"
        for path in content_files(model)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def publish_artifact(file: Path, destination: Path) -> None:
    """Moves a finished model and its manifest to their final names.

    The manifest is moved last, because a model without one is not an artifact. A lock makes two
    processes publish one after the other, so file and manifest come from the same process.

    Raises:
        UserError: a folder has the name of the manifest, or the wrong kind of file exists.
    """
    if manifest_path(destination).is_dir():
        raise UserError(
            f"'{manifest_path(destination)}' is a directory; the manifest needs this name. "
            "Choose another --out."
        )
    with directory_lock(destination.parent):
        (publish_folder if file.is_dir() else publish)(file, destination)
        publish(manifest_path(file), manifest_path(destination))
