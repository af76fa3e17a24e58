"""ONNX Runtime's QNN provider: sessions on the NPU, or on its software model on Linux.

The CPU never takes an operator: a session whose graph the NPU does not take whole is refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxruntime_qnn
from numpy.typing import NDArray

from export.chips import Chip
from export.errors import ConversionError
from export.session import Outputs
from export.targets.onnx.convert import INPUT

PROVIDER = "QNNExecutionProvider"

OPTIMIZATION_MODE = "0"
"""The compiler's own choice.

Its most thorough mode, 3, takes three times as long and is wrong with 16-bit activations: SegFormer
at 352x480 has 18 dB against its simulation instead of 66, on every architecture (QAIRT 2.51)."""

_FATAL, _VERBOSE = 4, 0

_REFUSED = re.compile(r"Validation FAILED for \d+ nodes in OrtNodeUnit \((\w+)\)")


@cache
def _devices() -> list[Any]:
    """The provider's devices. Registers the provider on the first call."""
    onnxruntime.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == PROVIDER][:1]


def open_on_npu(
    path: Path, chip: Chip, entries: Mapping[str, str] | None = None
) -> onnxruntime.InferenceSession:
    """A session on a chip's NPU; on Linux, on the software model of it.

    Args:
        path: ONNX graph, which is compiled, or a compiled context.
        chip: must always be named: without it the provider leaves float graphs to the CPU.
        entries: further entries of the session's configuration.

    Raises:
        ConversionError: the NPU does not take every operator; names those it refuses.
    """
    try:
        with _quiet_stdout():
            return _open(path, chip, entries or {}, _FATAL)
    except Exception as error:  # ONNX Runtime has no common exception type
        refused = _refused_operators(path, chip)
        reason = f"the NPU does not take {refused}" if refused else _first_line(error)
        raise ConversionError(f"qnn: {path.name} on {chip.soc}: {reason}") from error


def run(
    session: onnxruntime.InferenceSession, inputs: Mapping[str, NDArray[np.float32]]
) -> Outputs:
    """The outputs of a session by name."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def run_model(chip: Chip, model: onnx.ModelProto, image: NDArray[np.float32]) -> Outputs:
    """The outputs of a model that is not a file yet.

    Raises:
        ConversionError: see `open_on_npu`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        onnx.save(model, path)
        session = open_on_npu(path, chip)
    return run(session, {INPUT: image})


def _open(
    path: Path, chip: Chip, entries: Mapping[str, str], severity: int
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = severity
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    options.add_provider_for_devices(
        _devices(),
        {
            "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
            "soc_model": str(chip.soc_model),
            "htp_arch": str(chip.htp_arch),
            "vtcm_mb": str(chip.vtcm_mb),
            "htp_graph_finalization_optimization_mode": OPTIMIZATION_MODE,
        },
    )
    return onnxruntime.InferenceSession(str(path), options)


def _refused_operators(path: Path, chip: Chip) -> str:
    """The operators that the NPU refuses, with their numbers; "" if the log names none."""
    with tempfile.TemporaryFile() as log, _redirected((1, 2), log.fileno()):
        with contextlib.suppress(Exception):
            _open(path, chip, {}, _VERBOSE)
        log.seek(0)
        text = log.read().decode(errors="replace")
    # The provider asks twice, before and after it changes the layout.
    counts = Counter(_REFUSED.findall(text))
    return ", ".join(f"{-(-count // 2)} {name}" for name, count in sorted(counts.items()))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Hides what the vendor's library prints on stdout, where commands print their results."""
    with Path(os.devnull).open("wb") as nowhere, _redirected((1,), nowhere.fileno()):
        yield


@contextlib.contextmanager
def _redirected(descriptors: tuple[int, ...], destination: int) -> Iterator[None]:
    """Sends file descriptors of this process elsewhere; native code writes to them directly."""
    copies = {descriptor: os.dup(descriptor) for descriptor in descriptors}
    try:
        for descriptor in descriptors:
            os.dup2(destination, descriptor)
        yield
    finally:
        for descriptor, copy in copies.items():
            os.dup2(copy, descriptor)
            os.close(copy)
