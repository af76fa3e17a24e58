"""Builds and runs `lvt-core`, the command line of the Android app's core."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

PROJECT = Path(__file__).parents[2] / "android_demo"
JAR = PROJECT / "cli" / "target" / "lvt-core.jar"
_DOWNLOAD_FAILED = re.compile(
    r"Could not transfer artifact|failed to transfer|Unknown host|in offline mode"
)


@dataclass(frozen=True)
class Core:
    """`lvt-core`, the command line of `android_demo/cli`."""

    java: str

    def call(
        self, *arguments: str | Path, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command and returns the completed process, without a check of its exit code."""
        command = [self.java, "-jar", str(JAR), *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=300, env=environment
        )

    def run(self, artifact: Path, folder: Path, pictures: list[Path]) -> list[dict[str, Any]]:
        """Runs an artifact on pictures and returns the predictions. Writes maps to `folder`."""
        result = self.call("run", artifact, folder, *pictures)
        assert result.returncode == 0, result.stderr
        predictions = [json.loads(line) for line in result.stdout.splitlines()]
        assert [prediction["image"] for prediction in predictions] == [str(p) for p in pictures]
        return predictions


def pixel_agreement(prediction: dict[str, Any], expected: NDArray[np.uint8]) -> float:
    """Share of equal pixels of the map that a prediction names."""
    map_written = np.asarray(Image.open(prediction["map"]))
    assert map_written.shape == expected.shape
    return float((map_written == expected).all(axis=-1).mean())


def build_core() -> Core:
    """Builds the jar if it is older than its sources. Skips the test if it cannot be built."""
    java, maven = shutil.which("java"), shutil.which("mvn")
    if java is None or maven is None:
        pytest.skip(f"{'Maven (mvn)' if java else 'Java'} is not installed; CONTRIBUTING.md")
    lock = Path(tempfile.gettempdir()) / "lvt-core-build.lock"
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # so that parallel test workers build it once
        if not _is_fresh():
            _build(maven)
    return Core(java)


def _is_fresh() -> bool:
    folders = [PROJECT / name for name in ("core", "cli")]
    sources = [path for folder in folders for path in folder.glob("src/main/**/*.kt")]
    sources += [PROJECT / "pom.xml", *(folder / "pom.xml" for folder in folders)]
    return JAR.is_file() and all(path.stat().st_mtime < JAR.stat().st_mtime for path in sources)


def _build(maven: str) -> None:
    project = ["-f", str(PROJECT / "pom.xml"), "-pl", "cli", "-am"]
    command = [maven, "-q", "-B", *project, "-DskipTests", "package"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    output = result.stdout + result.stderr
    if result.returncode and _DOWNLOAD_FAILED.search(output):
        pytest.skip("Maven cannot download the libraries of the core")
    assert result.returncode == 0, output
