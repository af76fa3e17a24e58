"""What can be timed on this machine: artifacts in their runtimes, and the PyTorch reference."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.artifact.reader import Artifact, open_artifact
from export.capabilities import TARGETS, target_info
from export.reference import reference_session
from export.session import Session
from export.targets import load_target
from lvt.errors import UserError
from lvt.models import build_random

TORCH = "torch"
BACKENDS: tuple[str, ...] = (*(info.runtime for info in TARGETS.values()), TORCH)


def default_target(backends: Sequence[str]) -> str:
    """The target to time where no artifact is named: the first that a backend runs, else ONNX.

    Raises:
        UserError: see `check_backend`.
    """
    for backend in backends:
        check_backend(backend)
    runs = [info for info in TARGETS.values() if info.runtime in backends]
    return runs[0].name if runs else "onnx"


def check_backend(backend: str) -> None:
    """Refuses what cannot be timed here.

    Raises:
        UserError: unknown backend, or one whose latency this machine cannot tell.
    """
    if backend not in BACKENDS:
        raise UserError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    info = next((info for info in TARGETS.values() if info.runtime == backend), None)
    if (
        info is not None
        and not info.host_latency
        and not (sys.platform == "darwin" and info.name == "coreml")
    ):
        where = "an iPhone or a Mac" if info.name == "coreml" else "an app on an Apple device"
        raise UserError(
            f"{info.name} latency needs {where}: this machine evaluates the file, which shows what "
            "it computes but not how fast it is there"
        )


@dataclass(frozen=True)
class BenchTarget:
    """One thing to time: an artifact under a backend.

    Attributes:
        where: what it runs on; empty: this machine.
    """

    artifact: Artifact
    backend: str
    where: str = ""

    @property
    def label(self) -> str:
        """How it is called in tables."""
        name = self.artifact.path.name
        if self.where:
            return f"{name} ({self.backend}, {self.where})"
        return f"{name} (PyTorch reference)" if self.backend == TORCH else name

    @property
    def caveat(self) -> str | None:
        """Why its figures are not quite those of the artifact; None if they are."""
        if self.backend == TORCH:
            return "the PyTorch reference runs with random weights, which can be faster or slower"
        return None

    @property
    def arena_bytes(self) -> int | None:
        """Memory the file plans for activations; None where the runtime does not tell.

        ONNX Runtime and LiteRT keep the size of their arenas to themselves.
        """
        if self.backend != target_info("executorch").runtime:
            return None
        from export.targets.executorch.program import planned_bytes

        return planned_bytes(self.artifact.path)

    def open(self, threads: int) -> Session:
        """Loads it; `threads` is at least 1."""
        if self.backend == TORCH:
            import torch

            torch.set_num_threads(threads)
            # An artifact no longer has its weights as PyTorch; see `caveat`.
            spec = self.artifact.spec
            return reference_session(build_random(spec), spec)
        return load_target(self.artifact.target).open_session(self.artifact.path, threads=threads)


def contestant(path: Path, backend: str | None = None) -> BenchTarget:
    """Opens an artifact for a backend; for its own runtime where none is named.

    Raises:
        UserError: see `check_backend`; or a backend that does not run this kind of file.
    """
    if backend is not None:
        check_backend(backend)
    artifact = open_artifact(path)
    runtime = target_info(artifact.target).runtime
    if backend not in (None, TORCH, runtime):
        raise UserError(f"{path.name} is for {runtime}, not for {backend}")
    backend = backend or runtime
    check_backend(backend)
    return BenchTarget(artifact, backend)
