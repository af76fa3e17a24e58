"""An ARM machine without a chroot: Debian's QEMU, a Python for arm64, and the runtimes' wheels.

Everything is fetched with this machine's apt and pip settings and unpacked into the user's cache.
Nothing is installed, and root is not needed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from export.verify.arm.cpus import Cpu
from lvt.errors import UserError
from lvt.support.debian import DebianArchive, call, check_tools, machine_release, unpack
from lvt.support.files import atomic_folder, cache_folder, publish_folder
from lvt.support.progress import Progress, no_progress

SUITE = "trixie"
"""Debian release. Its QEMU 10 emulates SME correctly; QEMU 7.2 of the 2023 release does not, and
the outputs of int8 models are noise there."""

EMULATOR = "qemu-user"
PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "zlib1g")
WHEELS = ("numpy", "onnxruntime", "ai-edge-litert")
"""Installed in the versions of this environment, so that only the processor differs."""

_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
_PURPOSE = "the ARM check"


@dataclass(frozen=True)
class ArmMachine:
    """An unpacked ARM system.

    Attributes:
        folder: contains `qemu`, `root` (Debian's files) and `site` (the wheels).
    """

    folder: Path

    def run(self, cpu: Cpu, script: Path, arguments: Sequence[str | Path]) -> None:
        """Runs a Python script on an emulated processor.

        Raises:
            RuntimeError: the script failed; has the last line of its output.
        """
        emulators = self.folder / "qemu" / "usr" / "bin"
        if cpu.part is None:
            run_on_x86(emulators / "qemu-x86_64", cpu, script, arguments)
            return
        root = self.folder / "root"
        (python,) = (root / "usr" / "bin").glob("python3.*")
        environment = {
            "QEMU_LD_PREFIX": str(self._with_processor(cpu, cpu.part)),
            "PYTHONHOME": str(root / "usr"),
            "PYTHONPATH": str(self.folder / "site"),
        }
        _run(emulators / "qemu-aarch64", cpu, [python, script, *arguments], environment)

    def _with_processor(self, cpu: Cpu, part: int) -> Path:
        """A view of the root whose /proc and /sys describe the emulated processor.

        The runtimes read these to select kernels. With the files of an x86 machine, ONNX Runtime
        crashes on import.
        """
        view = self.folder / f"{cpu.name}.cpu"
        with atomic_folder(self.folder) as scratch:
            made = scratch / view.name
            system = made / "sys" / "devices" / "system" / "cpu"
            system.mkdir(parents=True)
            for name in ("possible", "present", "online"):
                (system / name).write_text("0\n")
            (made / "proc").mkdir()
            (made / "proc" / "cpuinfo").write_text(
                "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
                f"CPU variant\t: 0x0\nCPU part\t: {part:#x}\nCPU revision\t: 0\n\n"
            )
            for name in ("usr", "etc", "var"):
                (made / name).symlink_to(self.folder / "root" / name)
            (made / "lib").symlink_to(self.folder / "root" / "usr" / "lib")
            publish_folder(made, view)
        return view


def run_on_x86(emulator: Path, cpu: Cpu, script: Path, arguments: Sequence[str | Path]) -> None:
    """Runs a Python script with this environment's own Python and runtimes.

    Args:
        emulator: `qemu-x86_64`.
        cpu: an x86 processor.
        script: to run.
        arguments: of the script.

    Raises:
        RuntimeError: the script failed; has the last line of its output.
    """
    _run(emulator, cpu, [sys.executable, script, *arguments], dict(os.environ))


def _run(
    emulator: Path, cpu: Cpu, command: Sequence[str | Path], environment: dict[str, str]
) -> None:
    own = {"QEMU_CPU": cpu.name, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [emulator, *command],
        env=environment | own,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise RuntimeError(f"{cpu.name}: {said[0]}")


def arm_machine(progress: Progress = no_progress) -> ArmMachine:
    """The cached machine; the first call fetches it (about 150 MB).

    Raises:
        UserError: not Debian on x86, or a download failed.
    """
    folder = machine_folder()
    if not folder.is_dir():
        check_tools(_PURPOSE, f"{EMULATOR} and an arm64 Python")
        with atomic_folder(folder.parent) as scratch:
            made = scratch / folder.name
            made.mkdir()
            progress("fetching QEMU and an arm64 Python")
            _fetch_debian(scratch / "apt", made)
            progress("fetching the arm64 wheels")
            _fetch_wheels(made)
            publish_folder(made, folder)
    return ArmMachine(folder)


def machine_folder() -> Path:
    """Its folder in the cache. The name changes with everything that determines the contents."""
    recipe = [SUITE, EMULATOR, *PACKAGES, *(f"{name}=={_wanted(name)}" for name in WHEELS)]
    digest = hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]
    return cache_folder() / f"arm64-{digest}"


def _wanted(wheel: str) -> str:
    try:
        return version(wheel)
    except ModuleNotFoundError:
        raise UserError(f"the ARM check needs {wheel}: pip install 'lvt-mobile[tflite]'") from None


def _fetch_debian(state: Path, made: Path) -> None:
    """Downloads packages with a separate apt state, and unpacks them."""
    archive = DebianArchive(state, machine_release(_PURPOSE).mirror, [SUITE], foreign="arm64")
    arm = [f"{name}:arm64" for name in PACKAGES]
    for package in archive.with_dependencies([f"{EMULATOR}:amd64", *arm]):
        place = made / ("qemu" if package.name.startswith(EMULATOR) else "root")
        if place.name == "qemu" or not package.stem.endswith("_amd64"):
            unpack(package, place)


def _fetch_wheels(made: Path) -> None:
    (python,) = (made / "root" / "usr" / "bin").glob("python3.*")
    platforms = [f"--platform={name}" for name in _PLATFORMS]
    wheels = [f"{name}=={_wanted(name)}" for name in WHEELS]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    what = ["--no-deps", "--only-binary=:all:", *platforms, *wheels]
    number = python.name.removeprefix("python")
    call([*pip, f"--python-version={number}", f"--target={made / 'site'}", *what], "pip failed")
