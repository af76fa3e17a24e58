"""Artifacts that tests only read. Workers of pytest-xdist share them; each is made once."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from filelock import FileLock

from export.pipeline import ExportResult, export_artifact
from export.plan import ExportRequest

T = TypeVar("T")


class SharedArtifacts:
    """Makes artifacts when they are first asked for, in one folder for all workers."""

    def __init__(self, folder: Path):
        self._folder = folder

    def once(self, name: str, make: Callable[[Path], T]) -> T:
        """What `make` returns for a folder of its own; it runs in the first worker only."""
        key = hashlib.sha256(name.encode()).hexdigest()[:16]
        folder, result = self._folder / key, self._folder / f"{key}.pickle"
        with FileLock(self._folder / f"{key}.lock"):
            if not result.exists():
                folder.mkdir(exist_ok=True)
                result.write_bytes(pickle.dumps(make(folder)))
        made: T = pickle.loads(result.read_bytes())
        return made

    def export(self, request: ExportRequest) -> ExportResult:
        """The artifact of a request, which names no output."""
        assert request.out is None
        checkpoint = request.checkpoint and str(request.checkpoint)
        request = replace(request, checkpoint=checkpoint)
        return self.once(
            repr(request), lambda folder: export_artifact(replace(request, out=folder))
        )


@pytest.fixture(scope="session")
def shared_artifacts(tmp_path_factory: pytest.TempPathFactory) -> SharedArtifacts:
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # every worker has a folder of its own in it
    folder = folder / "shared"
    folder.mkdir(exist_ok=True)
    return SharedArtifacts(folder)
