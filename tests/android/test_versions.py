"""The Android project has two builds; what they name twice has to be the same in both."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from device_bench.adb.phones import APP_RUNTIMES
from export.android import MODELS
from export.capabilities import TARGETS
from tests.android.core import PROJECT

_MAVEN = "{http://maven.apache.org/POM/4.0.0}"
_ANDROID = "{http://schemas.android.com/apk/res/android}"
_TOOLS = "{http://schemas.android.com/tools}"
APP_SOURCES = Path("app", "src", "main", "kotlin", "org", "lvtmobile", "app")


@pytest.mark.parametrize("name", ["kotlin", "serialization", "onnxruntime", "junit", "robolectric"])
def test_same_versions(name: str) -> None:
    """Maven's tests would say nothing of the app that Gradle builds from other libraries."""
    properties = ET.parse(PROJECT / "pom.xml").getroot().find(f"{_MAVEN}properties")
    assert properties is not None
    catalogue = tomllib.loads((PROJECT / "gradle" / "libs.versions.toml").read_text())
    assert catalogue["versions"][name] == properties.findtext(f"{_MAVEN}{name}.version")


def test_same_oldest_android() -> None:
    """Bytecode for another Android than the manifest promises would fail on the oldest phones."""
    dex = (PROJECT / "maven" / "dex-check" / "pom.xml").read_text("utf-8")
    gradle = (PROJECT / "app" / "build.gradle.kts").read_text("utf-8")
    assert re.findall(r"--min-api (\d+)", dex) == re.findall(r"minSdk = (\d+)", gradle)


def test_permissions() -> None:
    """The app sees cameras and photos: it must not get a way to send them."""
    root = ET.parse(PROJECT / "app" / "src" / "main" / "AndroidManifest.xml").getroot()
    requests = root.findall("uses-permission")
    asked = {
        entry.get(f"{_ANDROID}name") for entry in requests if entry.get(f"{_TOOLS}node") != "remove"
    }
    removed = {entry.get(f"{_ANDROID}name") for entry in requests} - asked
    assert asked == {"android.permission.CAMERA"}
    assert "android.permission.INTERNET" in removed


def test_telemetry() -> None:
    """ONNX Runtime's library brings a provider that loads it when the process starts."""
    root = ET.parse(PROJECT / "app" / "src" / "main" / "AndroidManifest.xml").getroot()
    (provider,) = (
        entry
        for entry in root.findall("application/provider")
        if entry.get(f"{_ANDROID}name") == "ai.onnxruntime.TelemetryInitializer"
    )
    assert provider.get(f"{_TOOLS}node") == "remove"
    (application,) = root.findall("application")
    assert application.get(f"{_ANDROID}name") == ".DemoApplication"


def test_benchmark_is_guarded() -> None:
    """Any app could else make the phone run hot; the launcher's entry alone is open to all."""
    root = ET.parse(PROJECT / "app" / "src" / "main" / "AndroidManifest.xml").getroot()
    open_to_all = [
        activity.get(f"{_ANDROID}name")
        for activity in root.findall("application/*")
        if activity.get(f"{_ANDROID}exported") == "true"
        and activity.get(f"{_ANDROID}permission") is None
    ]
    assert open_to_all == [".MainActivity"]


def test_assets_folder() -> None:
    """What `--android` fills is what the app reads."""
    source = (PROJECT / APP_SOURCES / "AppFiles.kt").read_text("utf-8")
    assert f'private const val MODELS = "{MODELS}"' in source


def in_kotlin(pattern: str) -> set[str]:
    """What a pattern finds in the sources of core and app."""
    sources = [*PROJECT.glob("core/src/main/**/*.kt"), *PROJECT.glob("app/src/main/**/*.kt")]
    return {found for source in sources for found in re.findall(pattern, source.read_text("utf-8"))}


def test_runtimes() -> None:
    """`--android` would else refuse what the app runs, or copy what it does not."""
    named = in_kotlin(r'override val target: String = "(.*)"')
    assert named == {info.name for info in TARGETS.values() if info.android}


def test_accelerators() -> None:
    """`lvt-bench --runtime` would else refuse what the app has, or ask for what it has not."""
    asked_for = {
        name
        for target in in_kotlin(r'override val target: String = "(.*)"')
        for name in APP_RUNTIMES[target]
    }
    assert in_kotlin(r'Runtime by \w+Backend\("(.*?)"') == asked_for
