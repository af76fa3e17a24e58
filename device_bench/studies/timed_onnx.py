"""A module as an ONNX file that is ready to be timed, once it has proved what it computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from device_bench.measure.interleaved import TimedSession
from export.errors import ParityError
from export.parity.compare import TOLERANCES, compare
from export.pipeline import conversion_errors
from export.reference import reference_session
from export.targets import ConversionInput, load_target
from lvt.models import ModelSpec


def onnx_entrant(
    name: str,
    module: nn.Module,
    reference: nn.Module,
    spec: ModelSpec,
    image: NDArray[np.float32],
    file: Path,
    threads: int,
) -> TimedSession:
    """Writes the file, opens it in ONNX Runtime and compares it with the reference.

    Args:
        name: in tables and messages.
        module: to convert.
        reference: what it has to compute.
        spec: of the reference; for a model that is not ours, one with the same outputs.
        image: (1, 3, H, W), preprocessed, to compare on and to time with.
        file: to write.
        threads: of ONNX Runtime.

    Raises:
        ConversionError: the module cannot be exported, or the file does not run.
        ParityError: the file computes something else.
    """
    target, size = load_target("onnx"), (image.shape[2], image.shape[3])
    with conversion_errors(f"{name}: no ONNX file"):
        target.write(ConversionInput(module, spec, size, "fp32", metadata={}), file)
        session = target.open_session(file, threads=threads)
        expected = reference_session(reference, spec)
        parity = compare(expected, session, [image], spec, TOLERANCES["fp32"])
    if not parity.passed:
        raise ParityError(f"{name}: parity failed: {'; '.join(parity.failures)}")
    return TimedSession(name, session, image)
