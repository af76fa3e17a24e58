"""Builds the wheel and tries it where nothing but its base packages can be imported.

`python -m tests.docs.wheel FOLDER` writes the wheel to FOLDER, by way of the source archive. The
tutorial's commands then run from the installed wheel, outside of the repository. With `--link`, the
base packages are links into the running environment: the same files, without minutes of
installation. The other packages of that environment, and the repository, stay invisible.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import distribution
from pathlib import Path

from tests.docs.locks import entries, lock_file
from tests.docs.pages import ROOT
from tests.docs.tutorial import EXPECTED, check_outputs, runnable_commands, write_inputs


def build(folder: Path) -> Path:
    """Build source archive and wheel; return the wheel."""
    shutil.rmtree(folder, ignore_errors=True)
    _call(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, environment: Path, *, link: bool) -> Path:
    """Make an environment with the wheel and the base packages; return its folder of programs."""
    venv.create(environment, with_pip=True)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    if link:
        _link_base_packages(
            Path(_output(python, "import sysconfig; print(sysconfig.get_path('purelib'))"))
        )
    else:
        _call(
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--requirement",
            lock_file("base"),
        )
    _call(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    return programs


def _link_base_packages(site: Path) -> None:
    for requirement in entries("base"):
        if requirement.marker is None or requirement.marker.evaluate():
            package = distribution(requirement.name)
            assert requirement.specifier.contains(package.version), (
                f"{requirement}: make .venv again"
            )
            for name in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
                if not (site / name).exists():
                    (site / name).symlink_to(package.locate_file(name))


def try_out(programs: Path, folder: Path) -> None:
    """Run the tutorial's commands, and one that needs an extra, in a folder."""
    origin = Path(_output(programs / "python", "import lvt; print(lvt.__file__)", cwd=folder))
    assert origin.is_relative_to(programs.parent), f"lvt comes from {origin}, not from the wheel"
    write_inputs(folder)
    commands = runnable_commands()
    assert [script for script, *_ in commands] == EXPECTED
    for script, *arguments in commands:
        _call(programs / script, *arguments, cwd=folder)
    check_outputs(folder)
    refused = subprocess.run(
        [programs / "lvt-export", "tflite", "--ckpt", "demo"],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 2, refused.stderr
    assert "pip install 'lvt-mobile[tflite]'" in refused.stderr


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _call(*command: str | Path, cwd: Path | None = None) -> None:
    print("+", *command, flush=True)
    subprocess.run(command, cwd=cwd, env=_environment(), check=True)


def _output(python: Path, code: str, cwd: Path | None = None) -> str:
    return subprocess.check_output(
        [python, "-c", code], cwd=cwd, env=_environment(), text=True
    ).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the wheel and try it.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--link", action="store_true", help="link the base packages")
    arguments = parser.parse_args()
    wheel = build(arguments.folder).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve() / "work"
        folder.mkdir()
        programs = install(wheel, folder.parent / "venv", link=arguments.link)
        try_out(programs, folder)
    print(f"{wheel.name} works")


if __name__ == "__main__":
    main()
