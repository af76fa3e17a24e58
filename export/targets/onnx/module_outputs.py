"""Outputs of inner modules of an ONNX file, for finding where its values leave the reference's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from export.session import Outputs
from export.targets.onnx.convert import MODULE_KEY, part_paths
from export.targets.onnx.session import OnnxSession


def module_outputs(path: Path, image: NDArray[np.float32], names: Sequence[str]) -> Outputs:
    """See `with_module_outputs`; on the CPU."""

    def run(model: onnx.ModelProto, picture: NDArray[np.float32]) -> Outputs:
        return OnnxSession(model.SerializeToString()).run(picture)

    return with_module_outputs(path, image, names, run)


def with_module_outputs(
    path: Path,
    image: NDArray[np.float32],
    names: Sequence[str],
    run: Callable[[onnx.ModelProto, NDArray[np.float32]], Outputs],
) -> Outputs:
    """The last value that each module computes, by the name of the module.

    Args:
        path: a file that lvt-export wrote; of a folder of parts, `core` is read.
        image: (1, 3, H, W).
        names: dotted names of modules; those without a node of their own are missing in the result.
        run: runs a model on the image.
    """
    files = {file.stem: file for file in part_paths(path)}
    proto = onnx.load(files.get("core") or next(iter(files.values())))
    last_values: dict[str, str] = {}
    for node in proto.graph.node:
        module = next((e.value for e in node.metadata_props if e.key == MODULE_KEY), "")
        for name in names:
            if module == name or module.startswith(f"{name}."):
                last_values[name] = node.output[0]
    del proto.graph.output[:]
    outputs = [onnx.ValueInfoProto(name=value) for value in set(last_values.values())]
    proto.graph.output.extend(outputs)
    arrays = run(proto, image)
    return {name: arrays[value] for name, value in last_values.items()}
