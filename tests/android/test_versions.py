"""The Android project has two builds. Values that both contain must be equal."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from device_bench.devices.adb.runner import APP_RUNTIMES
from export.artifact.android_assets import MODELS
from export.capabilities import TARGETS
from tests.android.core import PROJECT

_MAVEN = "{http://maven.apache.org/POM/4.0.0}"
_ANDROID = "{http://schemas.android.com/apk/res/android}"
_TOOLS = "{http://schemas.android.com/tools}"
APP_SOURCES = Path("app", "src", "main", "kotlin", "org", "lvtmobile", "app")


@pytest.mark.parametrize("name", ["kotlin", "serialization", "onnxruntime", "junit", "robolectric"])
def test_same_versions(name: str) -> None:
    """The Maven tests must use the same libraries as the app that Gradle builds."""
    properties = ET.parse(PROJECT / "pom.xml").getroot().find(f"{_MAVEN}properties")
    assert properties is not None
    catalogue = tomllib.loads((PROJECT / "gradle" / "libs.versions.toml").read_text())
    assert catalogue["versions"][name] == properties.findtext(f"{_MAVEN}{name}.version")


def test_executorch_version() -> None:
    """An older runtime may not load what a newer version writes."""
    catalogue = tomllib.loads((PROJECT / "gradle" / "libs.versions.toml").read_text())
    hook = Path("export", "targets", "executorch", "serializer_hook.py").read_text("utf-8")
    assert f'EXECUTORCH_VERSION = "{catalogue["versions"]["executorch"]}"' in hook


def test_same_min_sdk() -> None:
    """Bytecode for a higher API level would fail on the oldest supported phones."""
    dex = (PROJECT / "maven" / "dex-check" / "pom.xml").read_text("utf-8")
    gradle = (PROJECT / "app" / "build.gradle.kts").read_text("utf-8")
    assert re.findall(r"--min-api (\d+)", dex) == re.findall(r"minSdk = (\d+)", gradle)


def test_permissions() -> None:
    """The app reads the camera and photos, so it must not have network access."""
    root = ET.parse(PROJECT / "app" / "src" / "main" / "AndroidManifest.xml").getroot()
    requests = root.findall("uses-permission")
    requested = {
        entry.get(f"{_ANDROID}name") for entry in requests if entry.get(f"{_TOOLS}node") != "remove"
    }
    removed = {entry.get(f"{_ANDROID}name") for entry in requests} - requested
    assert requested == {"android.permission.CAMERA"}
    assert "android.permission.INTERNET" in removed


def test_telemetry() -> None:
    """ONNX Runtime contains a provider that loads the library at process start."""
    root = ET.parse(PROJECT / "app" / "src" / "main" / "AndroidManifest.xml").getroot()
    (provider,) = (
        entry
        for entry in root.findall("application/provider")
        if entry.get(f"{_ANDROID}name") == "ai.onnxruntime.TelemetryInitializer"
    )
    assert provider.get(f"{_TOOLS}node") == "remove"
    (application,) = root.findall("application")
    assert application.get(f"{_ANDROID}name") == ".DemoApplication"


def test_benchmark_requires_permission() -> None:
    """Other apps must not be able to start a benchmark. Only the launcher activity is open."""
    root = ET.parse(PROJECT / "app" / "src" / "main" / "AndroidManifest.xml").getroot()
    open_to_all = [
        activity.get(f"{_ANDROID}name")
        for activity in root.findall("application/*")
        if activity.get(f"{_ANDROID}exported") == "true"
        and activity.get(f"{_ANDROID}permission") is None
    ]
    assert open_to_all == [".MainActivity"]


def test_assets_folder() -> None:
    """`--android` must write to the folder that the app reads."""
    source = (PROJECT / APP_SOURCES / "AppFiles.kt").read_text("utf-8")
    assert f'private const val MODELS = "{MODELS}"' in source


def in_kotlin(pattern: str) -> set[str]:
    """Matches of a pattern in the sources of core and app."""
    sources = [*PROJECT.glob("core/src/main/**/*.kt"), *PROJECT.glob("app/src/main/**/*.kt")]
    return {found for source in sources for found in re.findall(pattern, source.read_text("utf-8"))}


def test_runtimes() -> None:
    """`--android` must accept exactly the targets that the app runs."""
    targets = in_kotlin(r'override val target: String = "(.*)"')
    assert targets == {info.name for info in TARGETS.values() if info.android}


def test_accelerators() -> None:
    """`lvt-bench --runtime` must accept exactly the runtimes of the app."""
    expected = {
        name
        for target in in_kotlin(r'override val target: String = "(.*)"')
        for name in APP_RUNTIMES[target]
    }
    patterns = (r'Runtime by \w+Backend\("(.*?)"', r'override val name: String = "(.*)"')
    assert {name for pattern in patterns for name in in_kotlin(pattern)} == expected


def test_texts_are_resources() -> None:
    """A text in the code cannot be translated; a resource that nothing uses is a leftover."""
    sources = "".join(
        source.read_text("utf-8") for source in (PROJECT / "app/src/main").rglob("*.kt")
    )
    assert re.findall(r'(?:text|title|contentDescription|hint) = "[^"$]*[A-Za-z]{2}', sources) == []
    resources = PROJECT / "app" / "src" / "main" / "res"
    xml = "".join(file.read_text("utf-8") for file in resources.rglob("*.xml"))
    manifest = (PROJECT / "app/src/main/AndroidManifest.xml").read_text("utf-8")
    declared = re.findall(r'<(string|plurals|string-array|color|dimen|item) name="(\w+)"', xml)
    kinds = {"string-array": "array", "item": "id"}
    unused = [
        name
        for kind, name in declared
        if f"R.{kinds.get(kind, kind)}.{name}" not in sources
        and f"@{kind}/{name}" not in xml + manifest
    ]
    assert unused == []
