"""Real kernels of an x86 processor without VNNI, emulated by QEMU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.session import Outputs
from export.verify.arm import remote_runner
from export.verify.arm.cpus import CPUS
from export.verify.arm.machine import machine_folder, run_on_x86

_PTE_SCRIPT = """
import sys
import numpy as np
from pathlib import Path
from export.targets.executorch.target import open_session
session = open_session(Path(sys.argv[1]), threads=1)
with np.load(sys.argv[2]) as given:
    outputs = session.run(given["0/image"])
np.savez(sys.argv[3], **{f"0/{name}": value for name, value in outputs.items()})
"""


def x86_emulator() -> Path:
    """QEMU's user emulator; the test skips where there is none."""
    if found := shutil.which("qemu-x86_64"):
        return Path(found)
    fetched = machine_folder() / "qemu" / "usr" / "bin" / "qemu-x86_64"
    if not fetched.is_file():
        pytest.skip("no qemu-x86_64: Debian's qemu-user or make arm brings it")
    return fetched


def run_without_vnni(target: str, model: Path, image: NDArray[np.float32], folder: Path) -> Outputs:
    """The outputs of a model file for an image (1, 3, H, W) on a Haswell."""
    given, made = folder / "image.npz", folder / "outputs.npz"
    np.savez(given, **{"0/image": image})
    script, arguments = Path(remote_runner.__file__), [target, model, "", given, made]
    if target == "executorch":
        script, arguments = folder / "run.py", [model, given, made]
        script.write_text(_PTE_SCRIPT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        run_on_x86(x86_emulator(), CPUS["Haswell"], script, arguments)
    with np.load(made) as values:
        return {name.removeprefix("0/"): values[name] for name in values.files}


def emulated_features(emulator: Path) -> str:
    """The `flags` that NumPy finds on the emulated processor."""
    code = "import numpy as n; print(*n._core._multiarray_umath.__cpu_features__.items())"
    done = subprocess.run(
        [emulator, sys.executable, "-c", code],
        env={**os.environ, "QEMU_CPU": CPUS["Haswell"].name},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
