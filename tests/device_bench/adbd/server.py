"""A real adb server for tests, on its own port, so that no real device is touched."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Adb:
    """The real adb."""

    def __init__(self, program: str, environment: dict[str, str]):
        self._program, self._environment = program, environment

    def call(self, *words: str, seconds: float = 30) -> str:
        """Run adb and return its output."""
        done = subprocess.run(
            [self._program, *words],
            env=os.environ | self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        return done.stdout + done.stderr


@contextmanager
def adb_server(home: Path) -> Iterator[Adb]:
    """Start a server without devices; skip the test if adb is not installed."""
    adbutils = pytest.importorskip("adbutils", reason="adbutils is not installed: [android]")
    try:
        program = adbutils.adb_path()
    except adbutils.AdbError:
        pytest.skip("adb is not installed: install Debian's package adb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "ANDROID_ADB_SERVER_PORT": str(port),
        "HOME": str(home),  # keys
        "ADB_MDNS": "0",
        "ADB_LOCAL_TRANSPORT_MAX_PORT": "0",  # no emulators
    }
    adb = Adb(program, environment)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            if name != "HOME":
                patch.setenv(name, value)
        adb.call("start-server")
        yield adb
        adb.call("kill-server")
