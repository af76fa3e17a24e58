"""Every operator of the Core ML evaluator against an expression written independently.

The cases of one opset and precision share a package, so that saving it is paid once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("coremltools", reason="coremltools is not installed")

from export.targets.coreml.evaluator import Evaluator
from export.targets.coreml.ops import OPERATORS
from tests.export.targets.coreml.op_cases import (  # noqa: F401  (they add their cases)
    convolution,
    elementwise,
    indexing,
    linear,
    quantized,
    reduction,
    resize,
    shape,
)
from tests.export.targets.coreml.op_cases.case import CASES, Array, Case
from tests.export.targets.coreml.packages import save_program

DTYPES = ("float32", "float16")


def _runs(entry: Case, dtype: str) -> bool:
    return entry.half or dtype == "float32"


def _results(entries: list[Case], dtype: str, path: Any) -> list[tuple[Array, ...]]:
    """What the evaluator computes for each case."""
    arrays = [
        array if array.dtype == np.int32 else array.astype(dtype)
        for entry in entries
        for array in entry.inputs
    ]
    counts: list[int] = []

    def build(*variables: Any) -> list[Any]:
        waiting, outputs = list(variables), []
        for entry in entries:
            taken = [waiting.pop(0) for _ in entry.inputs]
            results = entry.build(lambda value: np.asarray(value).astype(dtype)[()], *taken)
            results = results if isinstance(results, (tuple, list)) else (results,)
            counts.append(len(results))
            outputs.extend(results)
        return outputs

    save_program(path, [(a.shape, a.dtype.name) for a in arrays], build, entries[0].opset)
    evaluator = Evaluator(path)
    missing = {entry.op for entry in entries} - {op.type for op in evaluator.program.operations}
    assert not missing, f"the package does not hold {missing}"
    outputs = list(evaluator.run({f"x{i}": array for i, array in enumerate(arrays)}).values())
    return [tuple(outputs.pop(0) for _ in range(count)) for count in counts]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, str], tuple[Array, ...]]:
    """{(index of the case, dtype): results}."""
    folder = tmp_path_factory.mktemp("packages")
    found = {}
    for opset in {entry.opset for entry in CASES}:
        for dtype in DTYPES:
            chosen = [entry for entry in CASES if entry.opset == opset and _runs(entry, dtype)]
            path = folder / f"{opset.name}-{dtype}.mlpackage"
            for entry, results in zip(chosen, _results(chosen, dtype, path), strict=True):
                found[CASES.index(entry), dtype] = results
    return found


@pytest.mark.parametrize(
    ("index", "dtype"),
    [
        pytest.param(index, dtype, id="-".join(filter(None, (entry.op, entry.label, dtype))))
        for index, entry in enumerate(CASES)
        for dtype in DTYPES
        if _runs(entry, dtype)
    ],
)
def test_operator(
    index: int, dtype: str, computed: dict[tuple[int, str], tuple[Array, ...]]
) -> None:
    entry, actual = CASES[index], computed[index, dtype]
    inputs = [
        a if a.dtype == np.int32 else a.astype(dtype).astype(np.float64) for a in entry.inputs
    ]
    expected = entry.expected(
        lambda value: np.asarray(value).astype(dtype).astype(np.float64), *inputs
    )
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert len(actual) == len(expected)
    for left, right in zip(actual, expected, strict=True):
        assert left.shape == np.shape(right)
        if left.dtype == np.int32:
            np.testing.assert_array_equal(left, right)
        elif left.dtype == np.float16:
            # One rounding of a float32 result: within half a unit in the last place, and a little
            # for results that lie at the middle between two.
            unit = np.spacing(np.abs(right).astype(np.float16)).astype(np.float64)
            assert np.all(np.abs(left - right) <= 0.51 * unit + 1e-6)
        else:
            np.testing.assert_allclose(left, right, rtol=2e-5, atol=2e-6)


def test_every_operator_has_a_case() -> None:
    assert {entry.op for entry in CASES} == set(OPERATORS)
