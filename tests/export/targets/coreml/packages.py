"""Packages built for tests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.targets.coreml.suppress_warnings import import_coremltools

ct = import_coremltools()
logging.getLogger("coremltools").setLevel(logging.ERROR)

_BUILTIN = {"float16": "fp16", "float32": "fp32", "int32": "int32"}


def save_program(
    path: Path,
    inputs: Sequence[tuple[tuple[int, ...], str]],
    build: Callable[..., Any],
    opset: Any,
) -> Path:
    """Saves a program as it is built, without any optimisation.

    Args:
        inputs: shape and NumPy's name of the dtype of each, called x0, x1...
        build: takes the inputs as MIL variables and returns the outputs.
    """
    from coremltools.converters.mil.mil import Builder, Function, Program, types
    from coremltools.converters.mil.mil.block import curr_block

    placeholders = {
        f"x{i}": Builder.placeholder(shape, dtype=getattr(types, _BUILTIN[dtype]))
        for i, (shape, dtype) in enumerate(inputs)
    }
    with Function(placeholders, opset_version=opset) as function:
        outputs = build(*function.inputs.values())
        curr_block().set_outputs(list(outputs) if isinstance(outputs, (tuple, list)) else [outputs])
    program = Program()
    program.add_function("main", function)
    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=opset,
        pass_pipeline=ct.PassPipeline.EMPTY,
        compute_units=ct.ComputeUnit.CPU_ONLY,
        skip_model_load=True,
    )
    model.save(str(path))
    return path


def save_linear_program(path: Path) -> Path:
    """Saves a program of one linear layer with 16x16 weights; its output is called double."""
    from coremltools.converters.mil.mil import Builder

    weight = np.random.default_rng(0).standard_normal((16, 16)).astype(np.float32)
    return save_program(
        path,
        [((2, 16), "float32")],
        lambda x: Builder.linear(x=x, weight=weight, name="double"),
        ct.target.iOS16,
    )
