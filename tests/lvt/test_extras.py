"""The errors for extras: with the command that helps, or the reason why there is none."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from lvt.support import extras
from lvt.support.extras import LIMITS, missing_extra

EXTRAS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))[
    "project"
]["optional-dependencies"]


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
@pytest.mark.parametrize("system", [("linux", "x86_64"), ("darwin", "arm64"), ("win32", "AMD64")])
def test_the_limits_are_those_of_the_markers(minor: int, system: tuple[str, str]) -> None:
    """A marker without a message would tell users to install what pip then leaves out."""
    environment = {
        "python_version": f"3.{minor}",
        "sys_platform": system[0],
        "platform_machine": system[1],
    }
    for name, lines in EXTRAS.items():
        markers = [requirement.marker for requirement in map(Requirement, lines)]
        installable = all(marker is None or marker.evaluate(environment) for marker in markers)
        limit = LIMITS.get(name)
        assert installable == (limit is None or not limit.excludes((3, minor), system)), name


def test_a_python_without_wheels_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.sys, "version_info", (3, 14, 0))
    assert str(missing_extra("executorch-coreml", ["executorch", "coreml"])) == (
        "executorch-coreml: Core ML needs Python 3.11 to 3.13: coremltools has no wheel for 3.14"
    )
    assert str(missing_extra("tflite", ["tflite"])) == (
        "tflite: an extra is not installed: pip install 'lvt-mobile[tflite]'"
    )


def test_another_system_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.platform, "machine", lambda: "arm64")
    assert str(missing_extra("qnn", ["qnn"])).startswith("qnn: QNN needs Linux on x86-64")
