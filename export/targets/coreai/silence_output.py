"""Keeps what coreai-torch prints out of the results that commands print."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator


@contextlib.contextmanager
def silence_output() -> Iterator[None]:
    """Discards everything that Python code prints to stdout and stderr."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
