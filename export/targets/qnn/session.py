"""Sessions of compiled artifacts on the NPU; on Linux on its software model, in its arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.chips import Chip
from export.panoptic.parts.layout import HostConstants
from export.panoptic.parts.session import PartsSession
from export.session import Outputs, Session
from export.targets.onnx.convert import INPUT, part_paths
from export.targets.qnn.context import check_context
from export.targets.qnn.provider import open_on_npu, run


class HtpSession:
    """A whole model, opened from its compiled context.

    Raises:
        UserError: the artifact has no context for the chip.
        ConversionError: the context is not for the chip, or does not open.
    """

    def __init__(self, folder: Path, chip: Chip):
        check_context(folder, chip)
        (graph,) = part_paths(folder)
        self._session = open_on_npu(folder / chip.folder / graph.name, chip)

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`."""
        return run(self._session, {INPUT: image})


class HtpEntryPoints:
    """A model in parts, compiled anew from its graphs.

    The software model does not open a context that several graphs share.

    Raises:
        UserError: the artifact has no context for the chip.
        ConversionError: the context is not for the chip, or the NPU does not take a graph.
    """

    def __init__(self, folder: Path, chip: Chip):
        check_context(folder, chip)
        self._sessions = {graph.stem: open_on_npu(graph, chip) for graph in part_paths(folder)}

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        """See `export.session.EntryPointSession.call`."""
        return run(self._sessions[name], inputs)


def open_on_chip(folder: Path, chip: Chip, host: HostConstants | None) -> Session:
    """A session of an artifact on one of its chips.

    Args:
        folder: the artifact.
        chip: to run on.
        host: constants of the host steps; None if the artifact holds the whole model.

    Raises:
        UserError: the artifact has no context for the chip.
        ConversionError: the context is not for the chip, or does not open.
    """
    if host is None:
        return HtpSession(folder, chip)
    return PartsSession(HtpEntryPoints(folder, chip), host)
