"""Fixtures: fake devices that tests connect to the real adb."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device_bench.cli import bench as cli
from device_bench.devices.adb import app_run, device_state, monitor, tool_run
from tests.device_bench.adbd.daemon import FakeDevice
from tests.device_bench.adbd.phone import make_phone
from tests.device_bench.adbd.server import Adb, adb_server

PLUG = Callable[..., FakeDevice]


@pytest.fixture(scope="module")
def adb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adb]:
    with adb_server(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture
def plug(adb: Adb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PLUG]:
    """Create devices and connect them; all polling is faster than for a real device."""
    monkeypatch.setattr(app_run, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(tool_run, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(monitor, "PERIOD_SECONDS", 0.05)
    monkeypatch.setattr(device_state, "POLL_SECONDS", 0.01)
    devices: list[FakeDevice] = []

    def connect(*, greeting: str = "device", wait: bool = True, **state: Any) -> FakeDevice:
        root = make_phone(tmp_path / f"phone{len(devices)}", **state)
        device = FakeDevice(root, greeting)
        devices.append(device)
        if wait:
            adb.call("connect", device.serial)
        else:  # adb waits ten seconds for a silent device, but lists it earlier
            threading.Thread(target=adb.call, args=("connect", device.serial)).start()
            while device.serial not in adb.call("devices"):
                time.sleep(0.02)
        return device

    yield connect
    for device in devices:
        adb.call("disconnect", device.serial)
        device.unplug()


def bench(*arguments: object) -> int:
    from tests.export.test_cli import run  # a test module: import it after pytest has rewritten it

    return run(cli.app, "--backend", "android", *arguments)
