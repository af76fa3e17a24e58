"""Backends that this machine can time: artifacts in their runtimes, and the PyTorch reference."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device_bench.results.bench_result import TORCH
from export.artifact.reader import Artifact, open_artifact
from export.capabilities import TARGETS, target_info
from export.reference import reference_session
from export.session import Session
from lvt.errors import UserError
from lvt.models import build_random

BACKENDS: tuple[str, ...] = (*(info.runtime for info in TARGETS.values()), TORCH)


@dataclass(frozen=True)
class BenchTarget:
    """An artifact and the backend that runs it on this machine."""

    artifact: Artifact
    backend: str

    @property
    def label(self) -> str:
        """Name in progress and tables."""
        name = self.artifact.path.name
        return f"{name} (PyTorch reference)" if self.backend == TORCH else name

    @property
    def validity_issue(self) -> str | None:
        """Why its figures are not those of the artifact; None if they are."""
        if self.backend == TORCH:
            return "the PyTorch reference runs with random weights, which can be faster or slower"
        return None

    @property
    def arena_bytes(self) -> int | None:
        """Memory that the file plans for activations; None where the runtime does not report it.

        ONNX Runtime and LiteRT do not report the size of their arenas.
        """
        if self.backend != target_info("executorch").runtime:
            return None
        from export.targets.executorch.program import planned_bytes

        return planned_bytes(self.artifact.path)

    def open_session(self, threads: int) -> Session:
        """Load the model; `threads` is at least 1."""
        if self.backend == TORCH:
            import torch

            torch.set_num_threads(threads)
            # An artifact does not contain its weights in PyTorch's form.
            spec = self.artifact.spec
            return reference_session(build_random(spec), spec)
        return self.artifact.open_session(threads=threads)


def open_bench_target(path: Path, backend: str | None = None) -> BenchTarget:
    """Open an artifact for a backend, by default for its own runtime.

    Raises:
        UserError: see `open_artifact` and `check_backend`; or the backend cannot run the file.
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


def open_bench_targets(paths: Sequence[Path], backends: Sequence[str] = ()) -> list[BenchTarget]:
    """Open every artifact for every backend; without backends, each for its own runtime.

    Raises:
        UserError: see `open_bench_target`.
    """
    if not backends:
        return [open_bench_target(path) for path in paths]
    return [open_bench_target(path, backend) for path in paths for backend in backends]


def check_backend(backend: str) -> None:
    """Check that this machine can time a backend.

    Raises:
        UserError: unknown backend, or one whose latency cannot be measured here.
    """
    if backend not in BACKENDS:
        raise UserError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    info = next((info for info in TARGETS.values() if info.runtime == backend), None)
    if info is None or info.host_latency:
        return
    if info.name == "coreml" and sys.platform == "darwin":
        return
    if info.compiled:
        raise UserError(
            f"{info.name} latency needs the phone: this machine has a software model of its NPU, "
            "whose times say nothing about the chip; use --backend android"
        )
    where = "an iPhone or a Mac" if info.name == "coreml" else "an app on an Apple device"
    raise UserError(
        f"{info.name} latency needs {where}: this machine evaluates the file, which shows what "
        "it computes but not how fast it is there"
    )


def default_target(backends: Sequence[str]) -> str:
    """The export target of the default model: the first that one of `backends` runs, else ONNX.

    Raises:
        UserError: see `check_backend`.
    """
    for backend in backends:
        check_backend(backend)
    matches = [info.name for info in TARGETS.values() if info.runtime in backends]
    return matches[0] if matches else "onnx"
