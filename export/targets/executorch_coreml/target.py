"""ExecuTorch for Apple devices: one program lowered to Core ML, evaluated here.

The runtime that executes it is on iOS and macOS only. What the file holds for it is an .mlpackage;
here that is taken out again and computed by the Core ML evaluator.
"""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from executorch.backends.apple.coreml import executorchcoreml
from executorch.backends.apple.coreml.compiler import CoreMLBackend
from executorch.backends.apple.coreml.partition import CoreMLPartitioner
from executorch.exir.schema import DelegateCall
from numpy.typing import NDArray

from export.panoptic.roi_align import separable_roi_align
from export.placement import Placement
from export.session import Outputs
from export.targets import ConversionInput
from export.targets.coreml.evaluator import EVALUATOR, Evaluator
from export.targets.coreml.suppress_warnings import import_coremltools, quiet
from export.targets.executorch.program import (
    OUTPUTS,
    program_placement,
    read_metadata,
    read_program,
    write_program,
)
from lvt.errors import UserError

roi_align = separable_roi_align


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`."""
    ct = import_coremltools()
    half = conversion.precision == "fp16"
    specs = CoreMLBackend.generate_compile_specs(
        compute_unit=ct.ComputeUnit.ALL,
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
    )
    with quiet():
        write_program(conversion, CoreMLPartitioner(compile_specs=specs), path)


class DelegatedSession:
    """The one Core ML delegate of a file, in the evaluator.

    Raises:
        UserError: the file holds anything else.
    """

    def __init__(self, path: Path):
        program = read_program(path)
        plan = program.execution_plan[0]
        calls = [i.instr_args for chain in plan.chains for i in chain.instructions]
        if len(plan.delegates) != 1 or not all(isinstance(call, DelegateCall) for call in calls):
            raise UserError(f"{path.name} is not one Core ML program; export it again")
        names = read_metadata(path).get(OUTPUTS)
        if names is None:
            raise UserError(f"{path.name} is not an ExecuTorch file that lvt-export wrote")
        self._names: list[str] = json.loads(names)
        blob = bytes(program.backend_delegate_data[plan.delegates[0].processed.index].data)
        with tempfile.TemporaryDirectory() as folder:
            executorchcoreml.unflatten_directory_contents(blob, folder)
            module = Path(folder) / "lowered_module"
            description = json.loads((module / "metadata.json").read_text())
            self._evaluator = Evaluator(module / "model.mlpackage")
        (self._input,) = description["inputNames"]

    def run(self, image: NDArray[np.float32]) -> Outputs:
        outputs = self._evaluator.run({self._input: image})
        values = (value.astype(np.float32) for value in outputs.values())
        return dict(zip(self._names, values, strict=True))


def open_session(path: Path, *, threads: int = 0) -> DelegatedSession:
    """See `Target.open_session`."""
    return DelegatedSession(path)


def placement(path: Path) -> Placement:
    """See `Target.placement`."""
    return program_placement(path, "Core ML")


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: none; coremltools keeps no module names."""
    return {}


def versions(path: Path) -> dict[str, str]:
    """See `Target.versions`."""
    return {
        "torch": torch.__version__,
        "executorch": version("executorch"),
        "coremltools": version("coremltools"),
    }


def runtime_name() -> str:
    """See `Target.runtime_name`."""
    return EVALUATOR
