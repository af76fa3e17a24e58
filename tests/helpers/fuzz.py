"""Hypothesis strategies for damaged files, and the check of a reader of such files."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lvt.errors import UserError

fuzzing = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
"""The examples are the same on every machine, so that failures can be reproduced."""

UNUSUAL_VALUES: list[Any] = [
    None, True, -1, 0, 1, 1.5, 10**9, 10**400, float("inf"), float("nan"), "", "x", "\ud800",
    [], [[]], [None], {}, {"x": 1}, "../../etc/passwd", [10**9, 10**9],
]  # fmt: skip


def reads_or_refuses(read: Callable[[], Any]) -> bool:
    """Whether `read` returned; False if it raised a `UserError` with a message.

    Other exceptions fail the test.
    """
    try:
        read()
    except UserError as error:
        message = str(error)
    else:
        return True
    assert message.strip()
    return False


@st.composite
def damaged_bytes(draw: st.DrawFn, whole: bytes, head: int = 400) -> bytes:
    """Changes some bytes, more often in the first `head` bytes, and may cut the end off."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 6))):
        end = min(len(data), head) if draw(st.booleans()) else len(data)
        data[draw(st.integers(0, end - 1))] = draw(st.integers(0, 255))
    keep = draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    return bytes(data[:keep])


@st.composite
def damaged_json(draw: st.DrawFn, whole: Any) -> Any:
    """Replaces one or two values at any depth by unusual ones, or removes them."""
    data = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 2))):
        node = data
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], (dict, list)) and draw(st.integers(0, 4)):
                node = node[key]
                continue
            if isinstance(node, dict) and draw(st.integers(0, 4)) == 0:
                del node[key]
            else:
                node[key] = copy.deepcopy(draw(st.sampled_from(UNUSUAL_VALUES)))
            break
    return data


def write_json(path: Path, content: Any) -> None:
    """Writes any content as JSON, also infinities and lone surrogates."""
    path.write_text(json.dumps(content), "utf-8")
