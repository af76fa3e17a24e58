"""The Android project has two builds; what they name twice has to be the same in both."""

from __future__ import annotations

import tomllib
import xml.etree.ElementTree as ET

import pytest

from tests.android.core import PROJECT

_MAVEN = "{http://maven.apache.org/POM/4.0.0}"
_ANDROID = "{http://schemas.android.com/apk/res/android}"
_TOOLS = "{http://schemas.android.com/tools}"


@pytest.mark.parametrize("name", ["kotlin", "serialization", "onnxruntime", "junit"])
def test_same_versions(name: str) -> None:
    """Maven's tests would say nothing of the app that Gradle builds from other libraries."""
    properties = ET.parse(PROJECT / "pom.xml").getroot().find(f"{_MAVEN}properties")
    assert properties is not None
    catalogue = tomllib.loads((PROJECT / "gradle" / "libs.versions.toml").read_text())
    assert catalogue["versions"][name] == properties.findtext(f"{_MAVEN}{name}.version")


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
