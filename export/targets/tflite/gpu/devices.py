"""Chooses the device: the machine's own GPU, or a software device for each precision."""

from __future__ import annotations

from ctypes.util import find_library
from pathlib import Path

from export.capabilities import Precision
from export.targets.tflite.gpu.session import GpuError, GpuFile
from export.targets.tflite.gpu.software import (
    LAVAPIPE,
    SWIFTSHADER,
    fetch_software,
    software_environment,
)
from lvt.support.progress import Progress, no_progress

_SOFTWARE: dict[Precision, str] = {"fp32": SWIFTSHADER, "fp16": LAVAPIPE}
"""SwiftShader is the faster one, and computes in float32 whatever is asked for."""


def open_on_gpu(path: Path, precision: Precision, progress: Progress = no_progress) -> GpuFile:
    """Compiles a file for the machine's own GPU, or else for a software device.

    Args:
        path: a .tflite.
        precision: of the arithmetic.
        progress: called before the software devices are fetched.

    Raises:
        GpuError: the accelerator does not take the whole file, or crashes.
        UserError: there is no GPU, and the software devices cannot be fetched.
    """
    if find_library("vulkan") is not None:
        try:
            file = GpuFile(path, precision, {})
        except GpuError as error:
            if error.log.adapter is not None and not error.log.software:
                raise
        else:
            if not file.log.software:
                return file
            file.close()
    environment = software_environment(fetch_software(progress), _SOFTWARE[precision])
    return GpuFile(path, precision, environment)
