"""Environments with the oldest runtimes that the documentation promises, made once in the cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock


def old_python(config: pytest.Config, name: str, *requirements: str) -> Path:
    """A Python with these packages; the test skips where it cannot be made.

    Args:
        config: whose cache it stands in.
        name: of its folder.
        requirements: what pip installs; the first is the runtime.
    """
    assert config.cache is not None
    folder = config.cache.mkdir(name)
    python, ready = folder / "venv" / "bin" / "python", folder / "ready"
    with FileLock(folder / "lock"):  # parallel test workers share it
        if not ready.exists():
            try:
                call(sys.executable, "-m", "venv", "--clear", folder / "venv")
                call(python, "-m", "pip", "install", "-q", "--only-binary=:all:", *requirements)
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                reason = str(error).strip().splitlines()[-1]
                pytest.skip(f"cannot install {requirements[0]} (no network or wheel): {reason}")
            ready.touch()
    return python


def call(*arguments: Any) -> None:
    """Runs a program.

    Raises:
        AssertionError: it failed; holds what it said.
    """
    done = subprocess.run(
        [str(argument) for argument in arguments], capture_output=True, text=True, timeout=300
    )
    if done.returncode != 0:
        raise AssertionError(done.stderr or f"exit code {done.returncode}")
