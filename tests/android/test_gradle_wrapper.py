"""The Gradle wrapper has never downloaded a Gradle here: its parts must at least be whole."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.android.core import PROJECT

WRAPPER = PROJECT / "gradle" / "wrapper"
JAR = WRAPPER / "gradle-wrapper.jar"


def test_jar() -> None:
    """The jar runs on every developer's machine, so it must be the known one."""
    digest = hashlib.sha256(JAR.read_bytes()).hexdigest()
    assert digest == "55243ef57851f12b070ad14f7f5bb8302daceeebc5bce5ece5fa6edb23e1145c"
    with zipfile.ZipFile(JAR) as packed:
        assert packed.testzip() is None
        assert "org/gradle/wrapper/GradleWrapperMain.class" in packed.namelist()
        assert b"Apache License" in packed.read("META-INF/LICENSE")


def test_scripts() -> None:
    """Both scripts must find the jar; a copied file can lose its execute bit."""
    assert os.access(PROJECT / "gradlew", os.X_OK)
    assert "gradle/wrapper/gradle-wrapper.jar" in (PROJECT / "gradlew").read_text("utf-8")
    windows = (PROJECT / "gradlew.bat").read_text("utf-8")
    assert r"gradle\wrapper\gradle-wrapper.jar" in windows


def test_version() -> None:
    """The plugin for Android refuses an older Gradle, and readers install what README names."""
    properties = (WRAPPER / "gradle-wrapper.properties").read_text("utf-8")
    (version,) = re.findall(r"/gradle-([\d.]+)-bin\.zip$", properties, re.MULTILINE)
    readme = (PROJECT / "README.md").read_text("utf-8")
    assert re.findall(r"Gradle (\d[\d.]*\d)", readme) == [version]


def test_download_is_all_that_fails(tmp_path: Path) -> None:
    """A broken script or jar would fail before it asks for the distribution."""
    if shutil.which("java") is None:
        pytest.skip("no Java")
    # An address that refuses connections at once, in place of the distribution's host.
    environment = {
        **os.environ,
        "GRADLE_USER_HOME": str(tmp_path),
        "JAVA_OPTS": "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9",
    }
    result = subprocess.run(
        [PROJECT / "gradlew", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
    )
    output = result.stdout + result.stderr
    assert result.returncode != 0
    assert "Downloading https://services.gradle.org/distributions/gradle-" in output
    assert "GradleWrapperMain" in output
    assert "Connection refused" in output
