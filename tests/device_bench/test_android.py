"""lvt-bench on Android devices: the real adb and its server, and devices of ours on loopback."""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from device_bench.cli import bench as cli
from device_bench.devices.adb import app_run
from device_bench.devices.adb.app_run import APP_FOLDER, PACKAGE
from device_bench.measure.warmup import MIN_SECONDS, WINDOW
from device_bench.report.html_page import render
from device_bench.results.bench_report import read_report
from export.artifact.files import content_sha256, manifest_path, write_manifest
from export.chips import CHIPS
from export.pipeline import ExportResult
from lvt.support.command import INTERRUPTED
from tests.android.core import JAR, Core, build_core
from tests.device_bench.adbd.daemon import FakeDevice
from tests.device_bench.adbd.fixtures import PLUG, bench
from tests.device_bench.adbd.phone import PROPERTIES, change
from tests.device_bench.adbd.server import Adb
from tests.export.test_cli import one_line_error, run

SHORT = ("--runs", "8", "--min-seconds", "0")


def left_behind(device: FakeDevice) -> list[str]:
    return sorted(path.name for path in device.path(f"{APP_FOLDER}/bench").iterdir())


def ended_by_force(device: FakeDevice) -> bool:
    last = device.path("/am.log").read_text().splitlines()[-1]
    return bool(json.loads(last) == ["force-stop", PACKAGE])


@contextmanager
def in_the_middle(device: FakeDevice, action: Callable[[], None]) -> Iterator[None]:
    """Does something once the app has told of its progress."""
    folder = device.path(f"{APP_FOLDER}/bench")

    def act() -> None:
        while not any(path.suffix == ".progress" for path in folder.iterdir()):
            time.sleep(0.02)
        action()

    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join()


@pytest.mark.slow
def test_journey(
    plug: PLUG, tiny_export: ExportResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Push, wait for a cool battery, run, pull, table, file and page."""
    device = plug(battery_tenths=[412, 378, 349, 351])
    file, page = tmp_path / "results.json", tmp_path / "page.html"
    assert bench(tiny_export.path, *SHORT, "--json", file, "--html", page) == 0
    output = capfd.readouterr()
    assert "Google Pixel 8: Google Tensor G3, Android 14 (API 34)" in output.out
    assert "2x 1704 MHz (sched_pixel) + 1x 2370 MHz" in output.out
    assert "34.9 to 35.1 °C" in output.out  # it began at the first look at 35 or below
    assert "8 runs; preset quick requires 128" in output.err

    (entry,) = json.loads(file.read_text())["results"]
    assert entry["backend"] == "onnxruntime on Google Pixel 8"
    assert entry["samples_ms"] == [round(5 * (1 + 0.01 * (i % 5)), 4) for i in range(8)]
    assert entry["cold_start"] == {"load_ms": 100.0, "first_ms": 50.0, "memory_bytes": None}
    assert entry["device"]["serial"] == device.serial
    assert entry["device"]["before"]["battery_celsius"] == 34.9
    assert entry["device"]["before"]["skin_celsius"] == 31.5
    assert entry["device"]["runtime_version"] == "1.27.0"
    assert entry["device"]["energy"]["watts"] == pytest.approx(2.0)
    assert entry["device"]["energy"]["millijoules"] == pytest.approx(
        2 * np.mean(entry["samples_ms"]), rel=1e-4
    )
    assert entry["joules_per_inference"] == pytest.approx(
        entry["device"]["energy"]["millijoules"] / 1e3
    )
    last = entry["conditions"][-1]
    assert (last["mhz"], last["celsius"]) == (2914, 28.9)
    assert page.read_text("utf-8") == render(read_report(file))
    assert "Google Pixel 8" in page.read_text("utf-8")

    sent = [path.rpartition("/")[2].removesuffix(".part") for path in device.pushed]
    model = f"{tiny_export.path.stem}-{entry['sha256'][:12]}.onnx"
    assert sent == [model, f"{model}.json"]
    assert device.path(f"{APP_FOLDER}/models/{model}").read_bytes() == tiny_export.path.read_bytes()
    assert left_behind(device) == []

    device.pushed.clear()
    change(device.root, battery_tenths=[300])
    assert bench(tiny_export.path, *SHORT) == 0
    assert device.pushed == []  # what is there with the same hash is not sent again


@pytest.mark.slow
def test_beside_this_machine(
    plug: PLUG, tiny_export: ExportResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One table for the host and the device."""
    plug()
    file = tmp_path / "results.json"
    arguments = [tiny_export.path, "--backend", "onnxruntime", "--json", file]
    assert bench(*arguments, "--runs", "3", "--min-seconds", "0") == 0
    host, phone = json.loads(file.read_text())["results"]
    assert host["backend"] == "onnxruntime"
    assert phone["backend"] == "onnxruntime on Google Pixel 8"
    ratio = np.median(host["samples_ms"]) / np.median(phone["samples_ms"])
    assert phone["speedup_over_first"]["value"] == pytest.approx(ratio, rel=1e-2)
    assert "speed-up" in capfd.readouterr().out


def test_all_devices(
    plug: PLUG, tiny_export: ExportResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Side by side, two of one model told apart; one that fails does not cost the others."""
    devices = [plug(), plug(latency_ms=10.0), plug(installed=False)]
    file = tmp_path / "results.json"
    assert bench(tiny_export.path, *SHORT, "--serial", "all", "--json", file) == 2
    output = capfd.readouterr()
    entries = {entry["backend"]: entry for entry in json.loads(file.read_text())["results"]}
    medians = [
        entries[f"onnxruntime on Google Pixel 8 {device.serial}"]["latency_ms"]["median"]["value"]
        for device in devices[:2]
    ]
    assert medians == [pytest.approx(5.075), pytest.approx(10.15)]
    assert f"error: the demo app is not on {devices[2].serial}" in output.err


def test_names_are_quoted(plug: PLUG, tiny_export: ExportResult, tmp_path: Path) -> None:
    """A file's name must not become a command on the device."""
    device = plug()
    victim = device.path("/sdcard/victim")
    victim.write_text("")
    evil = tmp_path / "a b'; rm sdcard$(rm sdcard)`rm x`; rm victim; #.onnx"
    shutil.copy(tiny_export.path, evil)
    shutil.copy(manifest_path(tiny_export.path), manifest_path(evil))
    assert bench(evil, *SHORT) == 0
    assert victim.exists()
    names = {path.name for path in device.path(f"{APP_FOLDER}/models").iterdir()}
    assert len(names) == 2
    assert all(name.startswith(evil.stem) for name in names)
    started = [json.loads(line) for line in device.path("/am.log").read_text().splitlines()]
    (name,) = (word for word in started[-1] if word.endswith(".onnx"))
    assert name.startswith(evil.stem)


@pytest.mark.slow
def test_throttling(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    """Heat that shows in latency or in what Android says makes a result not valid."""
    device = plug(drift=1.5, battery_tenths=[300, 420])
    assert bench(tiny_export.path, *SHORT, "--runs", "30") == 0
    assert "latency drifted by +" in capfd.readouterr().err

    change(device.root, drift=1.0, battery_tenths=[420], thermal_status=2)
    assert bench(tiny_export.path, *SHORT, "--cool-seconds", "0.05") == 0
    assert "the device was warm after 0 s of cooling down: Android's thermal" in (
        capfd.readouterr().err
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("conditions", "issue"),
    [
        ({"foreground": False, "thermal_before": 0, "thermal_after": 0}, "not in the foreground"),
        (
            {"foreground": True, "thermal_before": 0, "thermal_after": 2},
            "the thermal status in the app rose from none to moderate",
        ),
        (None, "does not report whether it stayed in the foreground"),
    ],
)
def test_conditions_in_the_app(
    conditions: dict[str, object] | None,
    issue: str,
    plug: PLUG,
    tiny_export: ExportResult,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In the background, Android gives the app slower cores: such a result is not valid."""
    device = plug()
    assert bench(tiny_export.path, *SHORT) == 0
    assert "the app" not in capfd.readouterr().err
    change(device.root, conditions=conditions)
    assert bench(tiny_export.path, *SHORT) == 0
    assert issue in capfd.readouterr().err


@pytest.mark.slow
def test_accelerator_that_runs_nothing(
    plug: PLUG, tiny_export: ExportResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A fallback of the whole model must not look like a result of the accelerator."""
    placement = {"accelerated": 3, "total": 263}
    device = plug(reply={"accelerator": "xnnpack", "placement": placement})
    file = tmp_path / "results.json"
    assert bench(tiny_export.path, *SHORT, "--json", file) == 0
    assert "the CPU's times" not in capfd.readouterr().err
    (result,) = json.loads(file.read_text("utf-8"))["results"]
    assert result["placement"]["outside"] == {"operators": 260}
    assert result["placement"]["delegated"] == {"operators": 3}
    placement["accelerated"] = 0
    change(device.root, reply={"accelerator": "xnnpack", "placement": placement})
    assert bench(tiny_export.path, *SHORT) == 0
    assert "xnnpack ran none of the 263 operators" in capfd.readouterr().err


def test_first_start_makes_folders(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    """Folders that adb makes in the app's place can be closed to the app: the app makes them."""
    device = plug()
    device.path(f"{APP_FOLDER}/models").rmdir()
    assert bench(tiny_export.path, *SHORT) == 0
    asked = [json.loads(line) for line in device.path("/am.log").read_text().splitlines()]
    assert ["artifact" in words for words in asked] == [False, True]


@pytest.fixture(scope="module")
def core() -> Core:
    return build_core()


@pytest.mark.slow
def test_round_trip_with_the_core(
    plug: PLUG, core: Core, tiny_export: ExportResult, tmp_path: Path
) -> None:
    """The app's own code, but for Android: extras, manifest, hash, model, warm-up and reply."""
    device = plug(java=[core.java, "-jar", str(JAR)])
    file = tmp_path / "results.json"
    arguments = ["--threads", 2, "--runs", 20, "--min-seconds", 0.05, "--json", file]
    assert bench(tiny_export.path, *arguments) == 0
    (entry,) = json.loads(file.read_text())["results"]
    assert entry["latency_ms"]["runs"] >= 20
    assert sum(entry["samples_ms"]) >= 50
    assert entry["warmup"]["runs"] >= 2 * WINDOW
    assert entry["warmup"]["seconds"] >= MIN_SECONDS
    assert min(entry["cold_start"]["load_ms"], entry["cold_start"]["first_ms"]) > 0
    assert re.fullmatch(r"\d+\.\d+\.\d+", entry["device"]["runtime_version"])
    assert entry["device"]["accelerator"] == "cpu"
    assert left_behind(device) == []

    model = next(device.path(f"{APP_FOLDER}/models").glob("*.onnx"))
    with model.open("ab") as stream:
        stream.write(b"x")  # the next run finds another hash, and pushes again
    device.pushed.clear()
    assert bench(tiny_export.path, *arguments) == 0
    assert len(device.pushed) == 1


def test_core_refuses(
    plug: PLUG, core: Core, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    """The core's errors arrive as ours."""
    plug(java=[core.java, "-jar", str(JAR)])
    assert bench(tiny_export.path, "--runtime", "onnxruntime-xnnpack") == 2
    assert "says: no runtime onnxruntime-xnnpack here; there is onnxruntime" in (
        one_line_error(capfd)
    )


def compiled_artifact(export: ExportResult, folder: Path) -> Path:
    """A folder that claims to be compiled for the Snapdragon 8 Gen 3."""
    path = folder / "tiny.qnn"
    for name in ("main.onnx", "sm8650/main.onnx", "sm8650/main_qnn.bin"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    chips = [CHIPS["sm8650"].to_dict()]
    file = {**export.manifest["file"], "sha256": content_sha256(path)}
    manifest = {**export.manifest, "target": "qnn", "chips": chips, "file": file}
    write_manifest(manifest_path(path), manifest)
    return path


def with_chip(model: str) -> dict[str, str]:
    return {**PROPERTIES, "ro.soc.manufacturer": "QTI", "ro.soc.model": model}


@pytest.mark.slow
def test_compiled(plug: PLUG, tiny_export: ExportResult, tmp_path: Path) -> None:
    """Files of one name in several folders stay apart, and the app's runtime is the default."""
    device = plug(properties=with_chip("SM8650-AC"))
    path = compiled_artifact(tiny_export, tmp_path)
    assert bench(path, *SHORT) == 0
    started = [json.loads(line) for line in device.path("/am.log").read_text().splitlines()]
    assert "onnxruntime-qnn" in started[-1]
    (pushed,) = device.path(f"{APP_FOLDER}/models").glob("*.qnn")
    assert content_sha256(pushed) == content_sha256(path)


# What goes wrong: one line, exit code 2.


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("SM8750-AB", "the device's chip is QTI SM8750-AB: export it with --soc sm8750"),
        ("MT6989", "the device's chip is QTI MT6989"),
    ],
)
def test_compiled_for_another_chip(
    model: str,
    reason: str,
    plug: PLUG,
    tiny_export: ExportResult,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Known before anything is sent."""
    device = plug(properties=with_chip(model))
    path = compiled_artifact(tiny_export, tmp_path)
    assert bench(tiny_export.path, path, *SHORT) == 2
    expected = f"tiny.qnn is compiled for sm8650 (Snapdragon 8 Gen 3), and {reason}"
    assert one_line_error(capfd).endswith(expected)
    assert device.pushed == []


@pytest.mark.parametrize("chips", [None, [], [{"soc": "sm8650"}], [{"soc": 8650, "name": ""}]])
def test_damaged_chips(
    chips: object,
    plug: PLUG,
    tiny_export: ExportResult,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    device = plug(properties=with_chip("SM8650"))
    path = compiled_artifact(tiny_export, tmp_path)
    manifest = json.loads(manifest_path(path).read_text("utf-8"))
    write_manifest(manifest_path(path), {**manifest, "chips": chips})
    assert bench(path, *SHORT) == 2
    assert "is incomplete or damaged" in one_line_error(capfd)
    assert device.pushed == []


def test_no_device(adb: Adb, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]) -> None:
    assert bench(tiny_export.path) == 2
    assert "no device: connect one with USB debugging" in one_line_error(capfd)


def test_unauthorized(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    device = plug(greeting="unauthorized")
    assert bench(tiny_export.path) == 2
    message = one_line_error(capfd)
    assert f"{device.serial} is not ready (" in message
    assert "allow USB debugging for this computer" in message


def test_offline(plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]) -> None:
    device = plug(greeting="none", wait=False)
    assert bench(tiny_export.path) == 2
    assert f"{device.serial} is not ready (offline): plug it in again" in one_line_error(capfd)


def test_two_devices(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    one, two = plug(), plug()
    assert bench(tiny_export.path) == 2
    message = one_line_error(capfd)
    assert "2 devices: choose with --serial" in message
    assert one.serial in message
    assert two.serial in message
    assert bench(tiny_export.path, "--serial", "emulator-1") == 2
    assert "no device emulator-1; connected: 127.0.0.1:" in one_line_error(capfd)


def test_unplugged(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the middle of the run."""
    device = plug(app="hangs")
    with in_the_middle(device, device.unplug):
        assert bench(tiny_export.path, *SHORT) == 2
    assert f"lost {device.serial} during the run" in one_line_error(capfd)


def test_interrupted(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends what runs on the device too, and leaves nothing of ours there."""
    device = plug(app="hangs")
    main = threading.main_thread().ident
    assert main is not None
    with in_the_middle(device, lambda: signal.pthread_kill(main, signal.SIGINT)):
        assert bench(tiny_export.path, *SHORT) == INTERRUPTED
    assert capfd.readouterr().err == "interrupted\n"
    assert ended_by_force(device)
    assert left_behind(device) == []


def test_full_storage(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    """Known before, or found on the way; nothing half-written stays."""
    device = plug(free_kb=1)
    assert bench(tiny_export.path) == 2
    assert f"the storage of {device.serial} is full: 0.0 MB free" in one_line_error(capfd)
    change(device.root, free_kb=10_000_000)
    device.room = 1000
    assert bench(tiny_export.path) == 2
    message = one_line_error(capfd)
    assert f"cannot write {APP_FOLDER}/models/" in message
    assert message.endswith("is its storage full?")
    assert list(device.path(f"{APP_FOLDER}/models").iterdir()) == []


def test_app_missing(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    device = plug(installed=False)
    assert bench(tiny_export.path) == 2
    assert f"then adb -s {device.serial} install -r app.apk" in one_line_error(capfd)
    assert device.pushed == []


def test_app_crashes(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    log = (
        "11-22 22:00:00.000  1  1 E AndroidRuntime: FATAL EXCEPTION: benchmark\n"
        f"11-22 22:00:00.000  1  1 E AndroidRuntime: Process: {PACKAGE}, PID: 1\n"
        "11-22 22:00:00.000  1  1 E AndroidRuntime: java.lang.IllegalStateException: no shape\n"
    )
    device = plug(app="crashes", crash_log=log)
    assert bench(tiny_export.path) == 2
    message = one_line_error(capfd)
    assert f"the app ended on {device.serial} without a reply: java.lang.Illegal" in message
    assert left_behind(device) == []


def test_no_reply_file(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without storage the app can only write to the log."""
    line = "11-22 22:00:00.000  1  1 E lvt-bench: no reply: the shared storage is not available\n"
    device = plug(app="crashes", app_log=line)
    assert bench(tiny_export.path) == 2
    message = one_line_error(capfd)
    expected = f"the app ended on {device.serial} without a reply: the shared storage is not"
    assert expected in message


@pytest.mark.slow
def test_app_hangs(
    plug: PLUG,
    tiny_export: ExportResult,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It is ended, and leaves nothing behind."""
    monkeypatch.setattr(app_run, "SILENT_SECONDS", 0.5)
    device = plug(app="hangs")
    assert bench(tiny_export.path) == 2
    assert "has done nothing for" in one_line_error(capfd)
    assert ended_by_force(device)
    assert left_behind(device) == []


def test_app_refuses(
    plug: PLUG, tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the app says reaches the user."""
    device = plug()
    assert bench(tiny_export.path, "--runtime", "onnxruntime-nnapi") == 2
    message = one_line_error(capfd)
    assert f"the app on {device.serial} says: no runtime onnxruntime-nnapi here" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--backend", "android", "--runtime", "tflite"), "is for onnx, not for tflite"),
        (("--backend", "android", "--runtime", "qnn"), "unknown runtime 'qnn'; choose one of"),
        (("--serial", "x"), "--serial is for devices: add --backend android"),
        (("--backend", "android", "--binary", "nowhere"), "no tool at nowhere"),
        (("--backend", "android", "--profile"), "--profile has nothing to profile"),
    ],
)
def test_refused_before_anything_runs(
    arguments: tuple[str, ...],
    message: str,
    plug: PLUG,
    tiny_export: ExportResult,
    capfd: pytest.CaptureFixture[str],
) -> None:
    device = plug()
    assert run(cli.app, tiny_export.path, *arguments) == 2
    assert message in one_line_error(capfd)
    assert device.pushed == []
