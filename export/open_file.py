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
"""Name of the arithmetic of `open_exact` where it stands for a chip's, in manifests and notes."""


def open_exact(path: Path, host: HostConstants | None, *, threads: int = 0) -> Session:
    """ONNX graphs on ONNX Runtime's CPU without int8 kernels.

    Values are rounded where the graphs do it, and computed in float32 between. For compiled files
    that is a guide to the chip's results, hundreds of times as fast as its software model, and
    needs no extra.

    Args:
        path: an ONNX file, or the file of a target that is `compiled`.
        host: see `open_file`.
        threads: see `open_file`.

    Raises:
        UserError: the runtime refuses the file.
    """
    from export.targets.onnx.convert import part_paths
    from export.targets.onnx.session import OnnxEntryPoints, OnnxSession

    if host is None:
        (graph,) = part_paths(path)
        return OnnxSession(graph, threads=threads, exact=True)
    return PartsSession(OnnxEntryPoints(path, threads=threads, exact=True), host)
