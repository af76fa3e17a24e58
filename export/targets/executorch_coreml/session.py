"""The Core ML delegate of a .pte file behind the session protocol, in the Core ML evaluator.

The runtime that executes it exists on iOS and macOS only. The delegate holds an .mlpackage, which
is extracted and evaluated.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from executorch.backends.apple.coreml import executorchcoreml
from executorch.exir.schema import DelegateCall
from numpy.typing import NDArray

from export.session import Outputs
from export.targets.coreml.evaluator import Evaluator
from export.targets.executorch.program import OUTPUTS, read_metadata, read_program
from lvt.errors import UserError


class DelegatedSession:
    """Evaluates the only Core ML delegate of a file.

    Raises:
        UserError: the file holds anything besides one delegate, or lvt-export did not write it.
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
        """See `export.session.Session.run`."""
        outputs = self._evaluator.run({self._input: image})
        values = (value.astype(np.float32) for value in outputs.values())
        return dict(zip(self._names, values, strict=True))
