"""What can be timed on this machine: artifacts in their runtimes, and the PyTorch reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export.artifact import Artifact, open_artifact
from export.capabilities import TARGETS, target_info
from export.reference import reference_session
from export.session import Session
from export.targets import load_target
from lvt.errors import UserError
from lvt.models import build_random

TORCH = "torch"
BACKENDS: tuple[str, ...] = (*(info.runtime for info in TARGETS.values()), TORCH)


@dataclass(frozen=True)
class Contestant:
    """One thing to time: an artifact under a backend."""

    artifact: Artifact
    backend: str

    @property
    def label(self) -> str:
        """How it is called in tables."""
        name = self.artifact.path.name
        return f"{name} (PyTorch reference)" if self.backend == TORCH else name

    @property
    def caveat(self) -> str | None:
        """Why its figures are not quite those of the artifact; None if they are."""
        if self.backend == TORCH:
            return "the PyTorch reference runs with random weights, which can be faster or slower"
        return None

    def open(self, threads: int) -> Session:
        """Loads it; `threads` is at least 1."""
        if self.backend == TORCH:
            import torch

            torch.set_num_threads(threads)
            # An artifact no longer has its weights as PyTorch; see `caveat`.
            spec = self.artifact.spec
            return reference_session(build_random(spec), spec)
        return load_target(self.artifact.target).open_session(self.artifact.path, threads=threads)


def contestant(path: Path, backend: str) -> Contestant:
    """Opens an artifact for a backend.

    Raises:
        UserError: unknown backend, or one that does not run this kind of file.
    """
    if backend not in BACKENDS:
        raise UserError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    artifact = open_artifact(path)
    runtime = target_info(artifact.target).runtime
    if backend not in (TORCH, runtime):
        raise UserError(f"{path.name} is for {runtime}, not for {backend}")
    return Contestant(artifact, backend)
