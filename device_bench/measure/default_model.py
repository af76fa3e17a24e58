"""The model that is timed when no artifact is given: exported once, then kept in the cache."""

from __future__ import annotations

import contextlib
import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import export
import lvt
from export.artifact.reader import open_artifact
from export.capabilities import TARGETS
from export.errors import ExportError
from export.pipeline import export_artifact
from export.plan import ExportRequest
from lvt.errors import UserError
from lvt.support.files import cache_folder
from lvt.support.progress import Progress

_LIBRARIES = ("torch", "onnx", "onnxscript", "executorch", "litert-torch")
"""Libraries whose version can change the exported file."""


def default_model_path(target: str, progress: Progress) -> Path:
    """Path of the classifier at 224x224 with reproducible random weights, exported for `target`.

    A cached file that is missing, damaged or of another version is exported again.

    Raises:
        UserError: the export failed.
    """
    name = f"lvt_classification_224x224_{_code_version()}{TARGETS[target].suffix}"
    path = cache_folder() / name
    try:
        open_artifact(path)
    except UserError:
        request = ExportRequest(target, out=path, task="classification", size=(224, 224))
        try:
            export_artifact(request, progress)
        except ExportError as error:
            raise UserError(f"the default model: {error}") from error
    return path


def _code_version() -> str:
    """Digest of all code and library versions that can change the exported file."""
    digest = hashlib.sha256()
    for package in (lvt, export):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            digest.update(path.read_bytes())
    for library in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):  # optional dependency
            digest.update(version(library).encode())
    return digest.hexdigest()[:12]
