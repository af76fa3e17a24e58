"""Opens an .aimodel folder after a check of its integrity."""

from __future__ import annotations

import hashlib
from pathlib import Path

from coreai.authoring import AIModelAsset

from lvt.errors import UserError

ENTRY = "main"
"""Name of an asset's only function."""


def open_asset(path: Path) -> AIModelAsset:
    """Opens an asset if its program has the stored hash.

    The library aborts the process on a damaged program.

    Raises:
        UserError: the asset is missing or damaged.
    """
    program, digest = path / "main.mlirb", path / "main.hash"
    try:
        if hashlib.sha256(program.read_bytes()).digest() != digest.read_bytes():
            raise UserError(f"{path.name} is damaged (SHA-256 differs); export it again")
        return AIModelAsset.load(path.resolve())
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path.name} is no Core AI asset: {error}") from error
