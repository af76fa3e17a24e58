"""Fixtures of the reference models' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Torch on one thread, for models of many small operations.

    On a busy machine two threads wait for each other at every operation: six seconds become fifty.
    The stored numbers were computed on one thread, too.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
