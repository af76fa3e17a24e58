"""Opening an .aimodel folder, once it is known to be whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

from coreai.authoring import AIModelAsset

from lvt.errors import UserError

ENTRY = "main"
"""The one function."""


def open_asset(path: Path) -> AIModelAsset:
    """An asset whose program is the one it was written with: the library aborts on any other.

    Raises:
        UserError: no asset, or a damaged one.
    """
    program, digest = path / "main.mlirb", path / "main.hash"
    try:
        if hashlib.sha256(program.read_bytes()).digest() != digest.read_bytes():
            raise UserError(f"{path.name} is damaged (SHA-256 differs); export it again")
        return AIModelAsset.load(path.resolve())
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path.name} is no Core AI asset: {error}") from error
