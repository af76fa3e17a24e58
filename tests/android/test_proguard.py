"""Tests the app after shrinking with its own rules (ProGuard here, R8 in the Gradle build)."""

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

from export.pipeline import ExportResult
from lvt.demo import HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from tests.android.core import PROJECT, build_core
from tests.android.test_apk import BENCHMARK, MAIN, PROVIDER

PROGUARD_CHECK = PROJECT / "maven" / "proguard-check" / "target"
SHRUNK = PROGUARD_CHECK / "app-shrunk.jar"
LIBRARIES = PROGUARD_CHECK / "lib"
RUNTIMES = {
    "onnxruntime.jar": "ai/onnxruntime/",
    "litert-classes.jar": "org/tensorflow/lite/",
    "executorch-classes.jar": "org/pytorch/executorch/",
}
COMMAND = "org.lvtmobile.cli.MainKt"


@pytest.fixture(scope="module", autouse=True)
def _require_shrunk_jar() -> None:
    if not SHRUNK.is_file():
        pytest.skip("no shrunk jar: run make android first")


def classes(jar: Path, prefix: str = "") -> list[str]:
    with zipfile.ZipFile(jar) as packed:
        names = packed.namelist()
    return sorted(name for name in names if name.startswith(prefix) and name.endswith(".class"))


def test_jar_is_shrunk() -> None:
    """If all names were kept, the other tests would prove nothing."""
    kept = classes(SHRUNK)
    assert "org/lvtmobile/core/Manifest.class" not in kept
    assert len(classes(SHRUNK, "kotlin/")) < len(classes(LIBRARIES / "kotlin-stdlib.jar")) / 2


def test_components() -> None:
    """Android creates components by the class names in the manifest."""
    kept = classes(SHRUNK)
    for name in (MAIN, BENCHMARK, PROVIDER):
        assert f"{name.replace('.', '/')}.class" in kept


@pytest.mark.parametrize("library", RUNTIMES)
def test_runtime_members_are_kept(library: str) -> None:
    """Native code reads members of the runtime classes by name, also private members."""
    whole = LIBRARIES / library
    names = classes(whole, RUNTIMES[library])
    assert names
    assert members(SHRUNK, names) == members(whole, names)


def members(jar: Path, names: list[str]) -> list[str]:
    """Member declarations as listed by javap, sorted, without `throws` clauses."""
    listing = subprocess.run(
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
    declared = [line for line in listing.splitlines() if line.startswith("  ")]
    return sorted(re.sub(" throws [^;]*", "", line) for line in declared)


def call(*arguments: str | Path) -> str:
    """Runs the shrunk command line. The native library comes from ONNX Runtime's own jar."""
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


@pytest.mark.slow
def test_same_predictions(demo_export: ExportResult, tmp_path: Path) -> None:
    """The shrunk core must read manifests and compute the same predictions."""
    pictures = [tmp_path / f"{seed}.png" for seed in HELD_OUT_SEEDS[:3]]
    for seed, picture in zip(HELD_OUT_SEEDS, pictures, strict=False):
        Image.fromarray(make_scene(seed).image).save(picture)
    expected = build_core().run(demo_export.path, tmp_path / "whole", pictures)
    output = call("run", demo_export.path, tmp_path / "shrunk", *pictures)
    for line, whole in zip(output.splitlines(), expected, strict=True):
        prediction = json.loads(line)
        assert Path(prediction.pop("map")).read_bytes() == Path(whole.pop("map")).read_bytes()
        assert keys(prediction.pop("stages")) == keys(whole.pop("stages"))  # times differ
        assert prediction == whole


def test_same_reply_keys(tiny_export: ExportResult, tmp_path: Path) -> None:
    """`lvt-bench` reads the reply by its JSON keys."""
    request = tmp_path / "request.json"
    body = {"schema": 1, "artifact": str(tiny_export.path), "runtime": "onnxruntime"}
    request.write_text(json.dumps({**body, "warmup": 1, "runs": 2}))
    whole = json.loads(build_core().call("bench", request).stdout)
    assert keys(json.loads(call("bench", request))) == keys(whole)


def keys(value: Any) -> Any:
    return {key: keys(each) for key, each in value.items()} if isinstance(value, dict) else None
