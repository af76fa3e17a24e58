"""Exports a module to ONNX, verifies the file, and prepares it for timing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from device_bench.measure.interleaved import TimedSession
from export.errors import ParityError
from export.model_io import whole_model
from export.parity.compare import TOLERANCES, compare
from export.pipeline import conversion_errors
from export.reference import reference_session
from export.targets import ConversionInput, load_target
from lvt.models import ModelSpec


def verified_onnx_session(
    name: str,
    module: nn.Module,
    reference: nn.Module,
    spec: ModelSpec,
    image: NDArray[np.float32],
    file: Path,
    threads: int,
) -> TimedSession:
    """Write the file, open it in ONNX Runtime and compare it with the reference.

    Args:
        name: in tables and messages.
        module: to convert.
        reference: defines the expected outputs.
        spec: of the reference; for a model of another library, one with the same outputs.
        image: (1, 3, H, W), preprocessed, for the comparison and the timing.
        file: to write.
        threads: of ONNX Runtime.

    Raises:
        ConversionError: the module cannot be exported, or the file does not run.
        ParityError: the outputs differ from the reference.
    """
    target, size = load_target("onnx"), (image.shape[2], image.shape[3])
    with conversion_errors(f"{name}: no ONNX file"):
        entry_points = (whole_model(module, spec, size),)
        target.write(ConversionInput(entry_points, spec, "fp32", metadata={}), file)
        session = target.open_session(file, threads=threads)
        expected = reference_session(reference, spec)
        parity = compare(expected, session, [image], spec, TOLERANCES["fp32"])
    if not parity.passed:
        raise ParityError(f"{name}: parity failed: {'; '.join(parity.failures)}")
    return TimedSession(name, session, image)
