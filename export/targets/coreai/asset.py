"""Opens an .aimodel folder after a check of its integrity."""

from __future__ import annotations

import hashlib
from pathlib import Path

from coreai.authoring import AIModelAsset

from export.entry_point import MAIN
from export.panoptic.parts.layout import PARTS
from lvt.errors import UserError

ENTRY = MAIN
"""Name of the only function of an asset that holds the whole model."""


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


def function_names(asset: AIModelAsset) -> list[str]:
    """The functions of an asset: `ENTRY`, or those of a model in parts."""
    program = asset.program
    return [name for name in (ENTRY, *PARTS) if program._get_graph(name) is not None]
