"""Opens model files of either form behind the session protocol."""

from __future__ import annotations

from pathlib import Path

from export.panoptic.parts.layout import HostConstants
from export.panoptic.parts.session import PartsSession
from export.session import Session
from export.targets import Target


def open_file(
    target: Target, path: Path, host: HostConstants | None, *, threads: int = 0
) -> Session:
    """A session of a model file in its runtime.

    Args:
        target: its format.
        path: the file.
        host: constants of the host steps of a file in parts; None if it holds the whole model.
        threads: 0 leaves the number to the runtime. Host steps use one.

    Raises:
        UserError: the runtime refuses the file.
    """
    if host is None:
        return target.open_session(path, threads=threads)
    return PartsSession(target.open_entry_points(path, threads=threads), host)


CPU_GUIDE = "ONNX Runtime's CPU on the same file"
"""Name of the arithmetic of `open_on_cpu` in manifests and notes."""


def open_on_cpu(path: Path, host: HostConstants | None) -> Session:
    """A session of a compiled file on ONNX Runtime's CPU: hundreds of times as fast, and a guide.

    Args:
        path: the file of a target that is `compiled`.
        host: see `open_file`.

    Raises:
        UserError: the runtime refuses the file.
    """
    from export.targets.qnn import cpu

    if host is None:
        return cpu.open_session(path)
    return PartsSession(cpu.open_entry_points(path), host)
