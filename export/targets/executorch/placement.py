"""Which operators of a .pte file its delegates run, and which ExecuTorch's portable kernels."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from executorch.exir.schema import DelegateCall, KernelCall

from export.placement import Placement
from export.targets.executorch.program import (
    DELEGATED,
    methods_of,
    read_metadata,
    read_program,
    short_operator_name,
)


def program_placement(path: Path, accelerator: str) -> Placement:
    """Counts delegated operators, and the calls of delegates and kernels in a written file.

    Args:
        path: a .pte file that lvt-export wrote.
        accelerator: the name of its delegates.

    Raises:
        UserError: see `read_program`.
    """
    partitions, outside = 0, Counter[str]()
    for plan in methods_of(read_program(path)):
        calls = [i.instr_args for chain in plan.chains for i in chain.instructions]
        partitions += sum(isinstance(call, DelegateCall) for call in calls)
        outside.update(
            short_operator_name(plan.operators[call.op_index].name)
            for call in calls
            if isinstance(call, KernelCall)
        )
    delegated = json.loads(read_metadata(path)[DELEGATED])
    return Placement(accelerator, partitions, delegated, outside)
