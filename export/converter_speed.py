"""What converters spend time on without any effect on the file."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.fx.traceback import NodeSource


@contextmanager
def faster_conversion() -> Iterator[None]:
    """Saves a fifth of a conversion; the files are the same to the byte.

    Converters keep hundreds of thousands of graph nodes alive. Python's garbage collector walks
    through all of them again and again and finds nothing, so it pauses. And torch copies the
    history of a node at every pass, which nobody changes, so the copies share it.
    """
    collecting = gc.isenabled()
    own_copy = NodeSource.__dict__.get("__deepcopy__")
    gc.disable()
    _set_copy(_same_history)
    try:
        yield
    finally:
        _set_copy(own_copy)
        if collecting:
            gc.enable()


def _same_history(source: NodeSource, memo: dict[int, Any]) -> NodeSource:
    return source


def _set_copy(copy: Any) -> None:
    """Sets or, for None, removes the method with which a history is copied."""
    if copy is None:
        del NodeSource.__deepcopy__  # type: ignore[attr-defined]
    else:
        NodeSource.__deepcopy__ = copy  # type: ignore[attr-defined]
