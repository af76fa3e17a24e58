"""Ways in which files go bad, for hypothesis; and what a reader owes whoever has such a file."""

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
"""The same examples everywhere: CI must not fail on a file that nobody else has seen."""

ODD: list[Any] = [
    None, True, -1, 0, 1, 1.5, 10**9, 10**400, float("inf"), float("nan"), "", "x", "\ud800",
    [], [[]], [None], {}, {"x": 1}, "../../etc/passwd", [10**9, 10**9],
]  # fmt: skip


def reads_or_refuses(read: Callable[[], Any]) -> bool:
    """Whether it was read; anything but a result or an explained refusal goes through."""
    try:
        read()
    except UserError as error:
        refusal = str(error)
    else:
        return True
    assert refusal.strip()
    return False


@st.composite
def damaged_bytes(draw: st.DrawFn, whole: bytes, head: int = 400) -> bytes:
    """Some bytes changed, more often near the beginning, where formats keep their structure."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 6))):
        reach = min(len(data), head) if draw(st.booleans()) else len(data)
        data[draw(st.integers(0, reach - 1))] = draw(st.integers(0, 255))
    keep = draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    return bytes(data[:keep])


@st.composite
def damaged_json(draw: st.DrawFn, whole: Any) -> Any:
    """One or two values at any depth are replaced by odd ones, or missing."""
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
                node[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
            break
    return data


def write_json(path: Path, content: Any) -> None:
    """Also what no JSON library of ours would write: infinities, lone surrogates."""
    path.write_text(json.dumps(content), "utf-8")
