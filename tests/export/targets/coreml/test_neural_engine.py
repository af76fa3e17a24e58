"""The Neural Engine check finds what is planted, and nothing in a plain network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("coremltools", reason="coremltools is not installed")

from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  # as its documentation

from export.targets.coreml.loader import load
from export.targets.coreml.placement import LARGE, Obstacle, find_obstacles, placement
from export.targets.coreml.program import Operation, Program, TensorType
from tests.export.targets.coreml.packages import ct, save_program

FEATURES = (1, 32, 64, 64)
assert np.prod(FEATURES) >= LARGE


def _found(
    folder: Path,
    build: Callable[..., Any],
    shape: tuple[int, ...] = FEATURES,
    dtype: str = "float16",
) -> list[Obstacle]:
    path = save_program(folder / "a.mlpackage", [(shape, dtype)], build, ct.target.iOS16)
    return find_obstacles(load(path))


def _convolved(x: Any, name: str) -> Any:
    weight = np.ones((32, 1, 3, 3), np.float16)
    return mb.conv(
        x=x,
        weight=weight,
        pad_type="custom",
        pad=[2] * 4,
        dilations=[2, 2],
        groups=32,
        name=name,
    )


@pytest.mark.parametrize(
    ("kind", "build", "op"),
    [
        ("rank", lambda x: mb.expand_dims(x=x, axes=[2], name="planted"), "expand_dims"),
        ("indexing", lambda x: mb.topk(x=x, k=2, name="planted"), "topk"),
        (
            "indexing",
            lambda x: mb.gather(x=x, indices=np.array([1, 0], np.int32), axis=1, name="planted"),
            "gather",
        ),
        (
            "extent",
            lambda x: mb.reshape(x=x, shape=[1, 32, 1, 4096 * 5], name="planted"),
            "reshape",
        ),
        ("transpose", lambda x: mb.transpose(x=x, perm=[0, 2, 3, 1], name="planted"), "transpose"),
        ("reshape", lambda x: mb.reshape(x=x, shape=[1, 64, 32, 64], name="planted"), "reshape"),
        ("reshape", lambda x: mb.reshape(x=x, shape=[2, 16, 64, 64], name="planted"), "reshape"),
    ],
)
def test_planted_obstacle_is_found(
    tmp_path: Path, kind: str, build: Callable[..., Any], op: str
) -> None:
    shape = (1, 32, 160, 128) if kind == "extent" else FEATURES

    def network(x: Any) -> Any:
        return build(_convolved(x, "before"))

    found = [o for o in _found(tmp_path, network, shape) if o.kind != "int32"]
    assert [(o.kind, o.op) for o in found] == [(kind, op)]
    # coremltools may rename an output; a single one keeps its name.
    assert found[0].name.startswith("planted")


def test_float32_is_found_but_not_its_cast(tmp_path: Path) -> None:
    def network(x: Any) -> Any:
        return _convolved(mb.cast(x=mb.add(x=x, y=1.0, name="planted"), dtype="fp16"), "after")

    found = _found(tmp_path, network, dtype="float32")
    assert [(o.kind, o.op, o.name) for o in found] == [("float32", "add", "planted")]
    assert found[0].detail == "fp32 (1, 32, 64, 64)"


def test_int32_is_found_but_not_its_cast(tmp_path: Path) -> None:
    def network(x: Any) -> Any:
        whole = mb.add(x=mb.cast(x=x, dtype="int32"), y=np.int32(1), name="planted")
        return mb.cast(x=whole, dtype="fp16")

    assert [(o.kind, o.op) for o in _found(tmp_path, network)] == [("int32", "add")]


def test_unknown_sizes_are_found() -> None:
    kind = TensorType("fp16", (1, 8, None, None))
    program = Program(
        ("x",), ("y",), {"x": kind, "y": kind}, {}, (Operation("relu", "r", {"x": ("x",)}, ("y",)),)
    )
    assert find_obstacles(program) == [Obstacle("dynamic", "relu", "r", "fp16 (1, 8, ?, ?)")]


def _clean(x: Any) -> Any:
    x = mb.relu(x=_convolved(x, "first"))
    # Merging and splitting spatial axes, and what is small or moves nothing.
    x = mb.reshape(x=x, shape=[1, 32, 1, 4096])
    x = mb.layer_norm(x=x, axes=[1], epsilon=np.float16(1e-3))
    x = mb.reshape(x=x, shape=[1, 32, 64, 64])
    x = mb.transpose(x=x, perm=[1, 0, 2, 3])
    x = mb.transpose(x=x, perm=[1, 0, 2, 3])
    small = mb.reduce_mean(x=x, axes=[2, 3], keep_dims=True)
    small = mb.transpose(x=mb.reshape(x=small, shape=[1, 8, 4, 1]), perm=[0, 2, 1, 3])
    return mb.mul(x=_convolved(x, "last"), y=mb.reshape(x=small, shape=[1, 32, 1, 1]))


def test_clean_network_has_none(tmp_path: Path) -> None:
    assert _found(tmp_path, _clean) == []
    result = placement(tmp_path / "a.mlpackage")
    assert result.fallback == "none"
    assert result.delegated["conv"] == 2
    assert result.remarks == ()


def test_compressed_weight_is_a_constant(tmp_path: Path) -> None:
    def network(x: Any) -> Any:
        weight = mb.constexpr_affine_dequantize(
            quantized_data=np.ones((32, 32, 1, 1), np.int8),
            zero_point=np.int8(0),
            scale=np.float32(0.5),  # iOS 17 lets a weight be wider than the values
            axis=0,
        )
        return mb.conv(x=x, weight=weight, pad_type="valid")

    path = save_program(tmp_path / "a.mlpackage", [(FEATURES, "float16")], network, ct.target.iOS17)
    assert find_obstacles(load(path)) == []
    assert placement(path).delegated == {"conv": 1}


def test_placement_counts_and_remarks(tmp_path: Path) -> None:
    def network(x: Any) -> Any:
        x = mb.transpose(x=_convolved(x, "first"), perm=[0, 2, 3, 1])
        x = mb.transpose(x=x, perm=[0, 3, 1, 2])
        x = mb.squeeze(x=mb.relu(x=mb.expand_dims(x=x, axes=[0])), axes=[0])
        return _convolved(x, "last")

    found = _found(tmp_path, network)
    assert Counter(obstacle.kind for obstacle in found) == {"rank": 3, "transpose": 2}
    result = placement(tmp_path / "a.mlpackage")
    assert result.to_dict() == {
        "accelerator": "Neural Engine (static check)",
        "partitions": None,
        "fallback": "partial",
        "delegated": {"conv": 2, "transpose": 2},
        "outside": {"expand_dims": 1, "relu": 1, "squeeze": 1},
        "remarks": [f"transposes of {LARGE} elements or more: 2"],
    }
