"""Outputs of inner modules of a TFLite file, for finding where its values leave the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.session import Outputs
from export.targets.tflite import flatbuffer
from export.targets.tflite.session import nhwc, open_interpreter


def module_outputs(path: Path, image: NDArray[np.float32], names: Sequence[str]) -> Outputs:
    """The last value that each module computes, by the name of the module, in the file's layout.

    Feature maps are usually NHWC. If the last operator of a module was fused with one of another
    module, its value is the one before. Modules that the converter dissolved are missing.

    Args:
        path: a file that lvt-export wrote.
        image: (1, 3, H, W).
        names: dotted names of modules.
    """
    file = flatbuffer.read(path)
    graph = file.subgraphs[0]
    last_values: dict[str, int] = {}
    for operator in graph.operators:
        index = int(operator.outputs[0])
        module = graph.tensors[index].name.decode().rpartition(";")[0]
        for name in names:
            if module == name or module.startswith(f"{name}."):
                last_values[name] = index
    # As outputs of the graph the values are kept, and the kernels are those of a session.
    graph.outputs = np.array(sorted(set(last_values.values())), np.int32)
    file.signatureDefs = None
    interpreter = open_interpreter(flatbuffer.pack(file), 0)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], nhwc(image))
    interpreter.invoke()
    return {name: interpreter.get_tensor(index) for name, index in last_values.items()}
