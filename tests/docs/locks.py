"""The lock files in `requirements`, as requirements of exact versions."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement

from tests.docs.pages import ROOT


def lock_file(name: str) -> Path:
    """The file of a lock, `base` or `dev`."""
    return ROOT / "requirements" / f"{name}.txt"


def entries(name: str) -> list[Requirement]:
    """Return the entries of a lock, with their markers and without their hashes."""
    text = lock_file(name).read_text("utf-8")
    return [Requirement(line) for line in re.findall(r"^([a-z].*?) *\\$", text, re.MULTILINE)]
