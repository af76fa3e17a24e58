"""Nothing phones home: no command touches the network or leaves files but those it was asked for.

Each runs in a process that the kernel ends when it asks for a socket of the Internet families, with
an empty home and an empty folder for temporary files, so third-party libraries are watched too.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from export.capabilities import TARGETS, installed
from lvt.data.images import packaged_photos

PHOTO = packaged_photos()[0]
_SOCKET = {"x86_64": 41, "aarch64": 198}
"""Number of the system call."""


def refuse_internet() -> None:
    """For a child before it becomes the command: seccomp ends it at its first Internet socket."""
    load, jump, ret = 0x20, 0x15, 0x06
    end, allow = 0x80000000, 0x7FFF0000  # SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW
    program = [
        (load, 0, 0, 0),  # number of the call
        (jump, 0, 3, _SOCKET[platform.machine()]),
        (load, 0, 0, 16),  # its first argument, the family
        (jump, 2, 0, socket.AF_INET),
        (jump, 1, 0, socket.AF_INET6),
        (ret, 0, 0, allow),
        (ret, 0, 0, end),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filters = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, filters, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def run_watched(code: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Runs Python in an empty home; gives the result and every file it left there or in /tmp."""
    if platform.system() != "Linux" or platform.machine() not in _SOCKET:
        pytest.skip("takes Linux's seccomp on x86-64 or arm64")
    home, scratch = folder / "home", folder / "scratch"
    home.mkdir()
    scratch.mkdir()
    # Telemetry is off by itself where the variable CI is set.
    dropped = ("ORT_", "HF_", "XDG_", "CI")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "HOME": str(home), "TMPDIR": str(scratch), "PYTHONPATH": ":".join(sys.path)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        preexec_fn=refuse_internet,
    )
    left = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    return done, left


def command(module: str, *arguments: object) -> str:
    given = [str(argument) for argument in arguments]
    return f"import sys; sys.argv[1:] = {given!r}; from {module} import app; app()"


def assert_quiet(code: str, folder: Path, *outputs: str) -> None:
    done, left = run_watched(code, folder)
    assert done.returncode == 0, (done.returncode, done.stderr)
    ours = {name for name in left if name.startswith("home/.cache/lvt-mobile/")}
    assert left - ours == set(outputs)


def test_the_watch_sees_a_socket_and_a_file(tmp_path: Path) -> None:
    """Or the tests below would pass whatever happens."""
    done, left = run_watched("import socket; open('x', 'w'); socket.socket()", tmp_path)
    assert done.returncode == -signal.SIGSYS
    assert left == {"x"}


def test_the_runtime_alone_does_write(tmp_path: Path) -> None:
    """What is switched off: if ONNX Runtime stops, so can we."""
    _, left = run_watched("import onnxruntime", tmp_path)
    assert any("onnxruntime" in name for name in left)


@pytest.mark.parametrize("package", ["lvt", "export", "quantization", "device_bench"])
def test_any_package_switches_it_off(package: str, tmp_path: Path) -> None:
    assert_quiet(f"import {package}, onnxruntime", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("target", [name for name in TARGETS if TARGETS[name].in_all])
def test_export(target: str, tiny_checkpoint: Path, tmp_path: Path) -> None:
    if not installed(TARGETS[target]):
        pytest.skip(f"needs lvt-mobile[{target}]")
    suffix = TARGETS[target].suffix
    code = command("export.cli.export", target, "--ckpt", tiny_checkpoint, "--out", f"m{suffix}")
    if not TARGETS[target].is_directory:
        assert_quiet(code, tmp_path, f"m{suffix}", f"m{suffix}.json")
        return
    done, left = run_watched(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert {name.split("/")[0] for name in left} == {f"m{suffix}", f"m{suffix}.json"}


@pytest.mark.slow
def test_run(tiny_int8: Path, tmp_path: Path) -> None:
    assert_quiet(command("export.cli.run", tiny_int8, PHOTO, "-o", "o.png"), tmp_path, "o.png")


@pytest.mark.slow
def test_eval(tmp_path: Path) -> None:
    code = command("export.cli.eval", "demo", "--demo-scenes", "1")
    assert_quiet(code, tmp_path)


@pytest.mark.slow
def test_quantize(tiny_checkpoint: Path, tmp_path: Path) -> None:
    options = ("--ckpt", tiny_checkpoint, "--calib", PHOTO.parent, "--method", "minmax")
    code = command("quantization.cli.quantize", "onnx", *options, "--out", "q.onnx")
    assert_quiet(code, tmp_path, "q.onnx", "q.onnx.json")


@pytest.mark.slow
def test_bench(tiny_int8: Path, tmp_path: Path) -> None:
    options = ("--runs", "3", "--min-seconds", "0", "--html", "r.html", "--profile")
    assert_quiet(command("device_bench.cli.bench", tiny_int8, *options), tmp_path, "r.html")


@pytest.mark.slow
def test_train(tmp_path: Path) -> None:
    options = ("--demo", "--steps", "1", "--out", "t.safetensors")
    done, left = run_watched(command("lvt.training.cli", *options), tmp_path)
    assert done.returncode == 0, done.stderr
    assert {name for name in left if not name.startswith("t.")} == set()
