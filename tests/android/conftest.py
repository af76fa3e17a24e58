"""What the tests of the Android core share."""

from __future__ import annotations

import pytest

from tests.android.core import Core, build_core


@pytest.fixture(scope="session")
def core() -> Core:
    return build_core()
