"""The app after shrinking and renaming by its own rules (ProGuard here, R8 in Gradle's build)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from export.exporter import ExportResult
from lvt.demo import HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from tests.android.core import PROJECT, build_core
from tests.android.test_apk import BENCHMARK, MAIN, PICTURES

PROGUARD_CHECK = PROJECT / "maven" / "proguard-check" / "target"
SHRUNK = PROGUARD_CHECK / "app-shrunk.jar"
LIBRARIES = PROGUARD_CHECK / "lib"
RUNTIMES = {
    "onnxruntime.jar": "ai/onnxruntime/",
    "litert-classes.jar": "org/tensorflow/lite/",
}
COMMAND = "org.lvtmobile.cli.MainKt"


@pytest.fixture(scope="module", autouse=True)
def _shrunk() -> None:
    if not SHRUNK.is_file():
        pytest.skip("make android has not shrunk the app")


def classes(jar: Path, prefix: str = "") -> list[str]:
    with zipfile.ZipFile(jar) as packed:
        names = packed.namelist()
    return sorted(name for name in names if name.startswith(prefix) and name.endswith(".class"))


def test_it_is_shrunk() -> None:
    """The other tests would say nothing of a jar in which every name was kept."""
    left = classes(SHRUNK)
    assert "org/lvtmobile/core/Manifest.class" not in left
    assert len(classes(SHRUNK, "kotlin/")) < len(classes(LIBRARIES / "kotlin-stdlib.jar")) / 2


def test_components() -> None:
    """Android makes them by the names that the manifest gives."""
    left = classes(SHRUNK)
    for name in (MAIN, BENCHMARK, PICTURES):
        assert f"{name.replace('.', '/')}.class" in left


@pytest.mark.parametrize("library", RUNTIMES)
def test_native_code_finds_what_it_names(library: str) -> None:
    """Members of the runtimes' classes, the private ones too: native code reads fields by name."""
    whole = LIBRARIES / library
    names = classes(whole, RUNTIMES[library])
    assert names
    assert members(SHRUNK, names) == members(whole, names)


def members(jar: Path, names: list[str]) -> list[str]:
    """As javap lists them, without the order that files have, and what they throw."""
    said = subprocess.run(
        [
            shutil.which("javap") or "javap",
            "-p",
            *(f"jar:{jar.as_uri()}!/{name}" for name in names),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    declared = [line for line in said.splitlines() if line.startswith("  ")]
    return sorted(re.sub(" throws [^;]*", "", line) for line in declared)


def call(*arguments: str | Path) -> str:
    """The command line of what is left; of ONNX Runtime's own jar it takes the native library."""
    libraries = [
        path
        for path in (PROJECT / "cli" / "target" / "lib").glob("*.jar")
        if re.match("onnxruntime|metadata|xmp", path.name)
    ]
    path = ":".join(map(str, (SHRUNK, *libraries)))
    command = [build_core().java, "-cp", path, COMMAND, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_same_answers(demo_export: ExportResult, tmp_path: Path) -> None:
    """Manifests are still read, and nothing that computes was left away."""
    pictures = [tmp_path / f"{seed}.png" for seed in HELD_OUT_SEEDS[:3]]
    for seed, picture in zip(HELD_OUT_SEEDS, pictures, strict=False):
        Image.fromarray(make_scene(seed).image).save(picture)
    expected = build_core().run(demo_export.path, tmp_path / "whole", pictures)
    said = call("run", demo_export.path, tmp_path / "shrunk", *pictures)
    for line, whole in zip(said.splitlines(), expected, strict=True):
        answer = json.loads(line)
        assert Path(answer.pop("map")).read_bytes() == Path(whole.pop("map")).read_bytes()
        assert answer == whole


def test_same_words_on_the_wire(tiny_export: ExportResult, tmp_path: Path) -> None:
    """`lvt-bench` reads the reply by the names of its fields."""
    request = tmp_path / "request.json"
    asked = {"schema": 1, "artifact": str(tiny_export.path), "runtime": "onnxruntime"}
    request.write_text(json.dumps({**asked, "warmup": 1, "runs": 2}))
    whole = json.loads(build_core().call("bench", request).stdout)
    assert keys(json.loads(call("bench", request))) == keys(whole)


def keys(value: Any) -> Any:
    return {key: keys(each) for key, each in value.items()} if isinstance(value, dict) else None
