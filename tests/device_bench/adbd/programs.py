"""The programs of the fake device: those of Android that `lvt-bench` calls, and the app.

Scripts in the device's `bin` call them by name. They use the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(os.environ["DEVICE_ROOT"])
PACKAGE = "org.lvtmobile.app"
FILES = ROOT / "sdcard/Android/data" / PACKAGE / "files"
PID = ROOT / "app.pid"


def state() -> dict[str, Any]:
    return dict(json.loads((ROOT / "state.json").read_text()))


def getprop() -> int:
    for name, value in state()["properties"].items():
        print(f"[{name}]: [{value}]")
    return 0


def dumpsys(service: str) -> int:
    known = state()
    if service == "battery":
        file = ROOT / "looks"
        looks = int(file.read_text()) if file.exists() else 0
        file.write_text(str(looks + 1))
        tenths = known["battery_tenths"]
        print("Current Battery Service state:\n  AC powered: false\n  USB powered: true")
        print(f"  Charge counter: 2453000\n  status: {known['status']}\n  health: 2")
        print("  present: true\n  level: 85\n  scale: 100\n  voltage: 4200")
        print(f"  temperature: {tenths[min(looks, len(tenths) - 1)]}\n  technology: Li-ion")
    else:
        print(f"IsStatusOverride: false\nThermal Status: {known['thermal_status']}")
        print("Cached temperatures:")
        print("\tTemperature{mValue=33.0, mType=3, mName=VIRTUAL-SKIN, mStatus=0}")
        print("HAL Ready: true\nCurrent temperatures from HAL:")
        print("\tTemperature{mValue=45.5, mType=0, mName=BIG, mStatus=0}")
        print("\tTemperature{mValue=31.5, mType=3, mName=VIRTUAL-SKIN, mStatus=0}")
        print("Current cooling devices from HAL:")
        print("\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}")
    return 0


def settings(*_words: str) -> int:
    print("0")
    return 0


def df(*_words: str) -> int:
    free = state()["free_kb"]
    print("Filesystem     1K-blocks      Used Available Use% Mounted on")
    print(f"/dev/fuse      115000000  90000000 {free:9}  79% /storage/emulated")
    return 0


def pm(*_words: str) -> int:
    if not state()["installed"]:
        return 1
    print("package:/data/app/~~x==/org.lvtmobile.app-y==/base.apk")
    return 0


def pidof(*_words: str) -> int:
    try:
        pid = int(PID.read_text())
        os.kill(pid, 0)
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return 1
    except (OSError, ValueError):
        return 1
    print(pid)
    return 0


def logcat(*words: str) -> int:
    print(state()["crash_log" if "crash" in words else "app_log"])
    return 0


def am(command: str, *words: str) -> int:
    (ROOT / "am.log").open("a").write(json.dumps([command, *words]) + "\n")
    if command == "force-stop":
        if pidof() == 0:
            os.kill(int(PID.read_text()), 9)
        return 0
    java = state().get("java")
    extras = words[words.index("-n") + 2 :]
    if java:
        run = [*java, "activity", str(FILES), *extras]
    else:
        run = [sys.executable, "-SE", __file__, "app", *extras]
    log = (ROOT / "app.log").open("a")
    app = subprocess.Popen(run, stdout=log, stderr=log, start_new_session=True)
    PID.write_text(str(app.pid))
    print(f"Starting: Intent {{ cmp={PACKAGE}/.BenchmarkActivity }}\nStatus: ok\nComplete")
    return 0


def app(*words: str) -> int:
    """A fake app, for tests that need no inference: it checks the pushed files and replies."""
    extras = {name: value for _, name, value in zip(*[iter(words)] * 3, strict=True)}
    known, reply = state(), FILES / "bench" / extras["reply"]
    (FILES / "models").mkdir(exist_ok=True)
    if known["app"] == "crashes":
        return 1
    if known["app"] == "hangs":
        (reply.parent / f"{reply.name}.progress").write_text("3 0.25\n")
        time.sleep(60)
    part = reply.parent / f"{reply.name}.part"
    part.write_text(json.dumps(_reply(extras, known)))
    part.replace(reply)
    return 0


def _reply(extras: dict[str, str], known: dict[str, Any]) -> dict[str, Any]:
    if "artifact" not in extras:
        return {"schema": 1, "error": "not a benchmark request"}
    model = FILES / "models" / extras["artifact"]
    manifest = json.loads((model.parent / f"{model.name}.json").read_text())
    if _content_sha256(model) != manifest["file"]["sha256"]:
        return {"schema": 1, "error": f"{model.name} is not the file its manifest describes"}
    if extras["runtime"] not in ("onnxruntime", "onnxruntime-qnn", "tflite"):
        return {"schema": 1, "error": f"no runtime {extras['runtime']} here; there is onnxruntime"}
    runs, base, drift = int(extras["runs"]), known["latency_ms"], known["drift"]
    samples = [base * (1 + (drift - 1) * i / runs) * (1 + 0.01 * (i % 5)) for i in range(runs)]
    return {
        "schema": 1,
        "runtime_version": "1.27.0",
        "accelerator": "cpu",
        "load_ms": 100.0,
        "first_ms": 50.0,
        "warmup": {"runs": 10, "seconds": 1.0, "settled": True},
        "samples_ms": samples,
        "conditions": known["conditions"],
        **known["reply"],
    }


def _content_sha256(model: Path) -> str:
    """As in `export.artifact.files`, which programs of a device cannot import."""
    if model.is_file():
        return hashlib.sha256(model.read_bytes()).hexdigest()
    names = sorted(path.relative_to(model).as_posix() for path in model.rglob("*.*"))
    lines = (f"{_content_sha256(model / name)}  {name}\n" for name in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(globals()[sys.argv[1]](*sys.argv[2:]))
