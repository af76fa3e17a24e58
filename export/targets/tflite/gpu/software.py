"""Software Vulkan devices from Debian's packages, unpacked into the user's cache.

SwiftShader runs shaders fast and has no float16. Mesa's lavapipe has float16, as phones have, and
compiles shaders slowly; its cache of compiled shaders lies beside it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from lvt.support.debian import (
    DebianArchive,
    Release,
    check_tools,
    machine_release,
    unpack,
)
from lvt.support.files import atomic_folder, cache_folder, publish_folder
from lvt.support.progress import Progress, no_progress

SWIFTSHADER = "swiftshader"
LAVAPIPE = "lavapipe"

_PURPOSE = "the software GPU"
_SWIFTSHADER_PACKAGE = "chromium-common"
_LAVAPIPE_PACKAGES = ("mesa-vulkan-drivers", "libvulkan1")
_DRIVERS = {SWIFTSHADER: "libvk_swiftshader.so", LAVAPIPE: "libvulkan_lvp.so"}
_BACKPORTS = {"bookworm"}
"""Releases whose own Mesa offers no device to LiteRT."""
_LIBC = ("libc6_", "libgcc-s1_", "libstdc++6_", "gcc-")
"""Packages of libraries that Python's process has already: two of one kind would crash it."""

_LIBRARIES = "usr/lib/x86_64-linux-gnu"


def software_folder() -> Path:
    """Its folder in the cache. The name changes with everything that determines the contents."""
    recipe = [_SWIFTSHADER_PACKAGE, *_LAVAPIPE_PACKAGES, *_DRIVERS.values()]
    digest = hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]
    return cache_folder() / f"gpu-{digest}"


def fetch_software(progress: Progress = no_progress) -> Path:
    """The cached devices; the first call fetches them (about 100 MB).

    Raises:
        UserError: not Debian on x86, or a download failed.
    """
    folder = software_folder()
    if not folder.is_dir():
        check_tools(_PURPOSE, "SwiftShader and Mesa")
        with atomic_folder(folder.parent) as scratch:
            made = scratch / folder.name
            progress("fetching the software GPUs (SwiftShader, Mesa)")
            _fetch(scratch / "apt", scratch / "unpacked", made, machine_release(_PURPOSE))
            publish_folder(made, folder)
    return folder


def software_environment(folder: Path, name: str) -> dict[str, str]:
    """The environment of a process that gets one of the devices.

    Args:
        folder: `fetch_software()`.
        name: `SWIFTSHADER` or `LAVAPIPE`.
    """
    description = str(folder / name / "icd.json")
    return {
        "VK_DRIVER_FILES": description,
        "VK_ICD_FILENAMES": description,  # the former name, for loaders of before 2022
        "LD_LIBRARY_PATH": str(folder / LAVAPIPE),
        "MESA_SHADER_CACHE_DIR": str(folder / "shaders"),
    }


def _fetch(state: Path, unpacked: Path, made: Path, release: Release) -> None:
    """Downloads the packages, and keeps their libraries in a folder for each device."""
    suites = [release.codename]
    if release.codename in _BACKPORTS:
        suites.append(f"{release.codename}-backports")
    archive = DebianArchive(state, release.mirror, suites)
    for package in archive.with_dependencies(_LAVAPIPE_PACKAGES):
        if not package.name.startswith(_LIBC):
            unpack(package, unpacked)
    unpack(archive.alone(_SWIFTSHADER_PACKAGE), unpacked)
    driver = unpacked / "usr/lib/chromium" / _DRIVERS[SWIFTSHADER]
    _device(made / SWIFTSHADER, SWIFTSHADER, [driver])
    libraries = [
        path
        for folder in (_LIBRARIES, _LIBRARIES.removeprefix("usr/"))
        for path in (unpacked / folder).glob("*.so*")
    ]
    _device(made / LAVAPIPE, LAVAPIPE, libraries)


def _device(folder: Path, name: str, libraries: Sequence[Path]) -> None:
    """A folder with libraries, and the description that a Vulkan loader reads."""
    folder.mkdir(parents=True)
    for library in libraries:
        if library.name.startswith("libvulkan_") and library.name != _DRIVERS[name]:
            continue
        alias = library.is_symlink() and library.readlink().parent == Path()
        shutil.copy(library, folder, follow_symlinks=not alias)
    # A path with a slash is relative to the description.
    driver = {"library_path": f"./{_DRIVERS[name]}", "api_version": "1.1.0"}
    text = json.dumps({"file_format_version": "1.0.0", "ICD": driver})
    (folder / "icd.json").write_text(text)
