"""Quoted messages, named files and code examples of the pages exist; the site loads no other host.

The Python examples run on tiny artifacts. For the Kotlin example only the names are looked up. The
Swift example is not checked, because there is no compiler for it.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from device_bench.measure.preset import PRESETS, BenchmarkPreset
from export.artifact.files import manifest_path
from export.capabilities import TARGETS, installed
from export.plan import ExportRequest
from lvt.data.images import packaged_photos
from lvt.data.preprocessing_steps import STEP_TYPES
from lvt.demo import DEMO_SIZE
from lvt.demo.scenes import make_scene
from lvt.postprocessing import label_map
from tests.docs.pages import PAGES, ROOT, blocks, inline_code
from tests.helpers.shared_artifacts import SharedArtifacts

PACKAGES = ("lvt", "export", "quantization", "device_bench")
STRINGS = ROOT / "android_demo" / "app" / "src" / "main" / "res" / "values" / "strings.xml"
KOTLIN = sorted((ROOT / "android_demo").rglob("*.kt"))
VALUE = "\0"
"""Placeholder for an interpolated value of a message."""

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def _template(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (v.value if isinstance(v, ast.Constant) else VALUE for v in node.values)
        return "".join(str(part) for part in parts)
    return None


def _docstrings(tree: ast.AST) -> set[int]:
    """Return the ids of docstring nodes: a message in a docstring is not shown to users."""
    bare = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return {id(value) for value in bare if isinstance(value, ast.Constant)}


@cache
def _python_messages() -> tuple[str, ...]:
    """Return all strings of the packages, with a NUL for each interpolated value."""
    messages = []
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            tree = ast.parse(file.read_text("utf-8"))
            docstrings = _docstrings(tree)
            for node in ast.walk(tree):
                text = None if id(node) in docstrings else _template(node)
                if text:
                    messages.append(text)
    return tuple(messages)


@cache
def _kotlin_messages() -> tuple[str, ...]:
    """Return all strings of the app and its core, with a NUL for each interpolated value."""
    messages = []
    for file in KOTLIN:
        joined = re.sub(r'"\s*\+\s*"', "", file.read_text("utf-8"))
        for literal in re.findall(r'"((?:[^"\\\n]|\\.)*)"', joined):
            messages.append(re.sub(r"\$\{[^}]*\}|\$\w+", VALUE, literal))
    for text in re.findall(r"<string [^>]*>([^<]*)</string>", STRINGS.read_text("utf-8")):
        messages.append(re.sub(r"%(?:\d+\$)?[sd]", VALUE, text))
    return tuple(messages)


def _occurs(quoted: str, messages: tuple[str, ...]) -> bool:
    fragments = [re.escape(part.strip(" ")) for part in quoted.split("…")]
    pattern = re.compile(r"[^\n]*?".join(fragments), re.DOTALL)
    return any(pattern.search(message) for message in messages)


def _quoted() -> list[tuple[str, bool]]:
    """Return the headings that quote messages, and whether the Android app prints them."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    commands, app = text.split("\n## In the Android app\n")
    return [
        (message, part is app)
        for part in (commands, app)
        for message in re.findall(r"^### `(.+)`$", part, re.MULTILINE)
    ]


@pytest.mark.parametrize(("message", "from_app"), _quoted())
def test_a_quoted_message_is_in_the_source(message: str, from_app: bool) -> None:
    """A reader who searches the page for a message of the terminal must find it."""
    assert len(re.sub(r"\W", "", message)) > 6, "too short to be unique"
    assert _occurs(message, _kotlin_messages() if from_app else _python_messages())


def test_a_message_that_does_not_exist_is_detected() -> None:
    assert len(_quoted()) > 20
    assert not _occurs("no checkpoint below …", _python_messages())
    assert not _occurs("Something the user can put right", _python_messages())  # a docstring


_PATH = re.compile(
    r"^(?:lvt|export|quantization|device_bench|android_demo|tests|docs|\.ci)/[\w./-]*\w/?$"
)


def test_the_readme_is_read_in_five_minutes() -> None:
    """Options belong into docs/cli.md, methods into their pages."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_the_index_lists_every_page() -> None:
    """A page that only the menu lists is not found by readers of the repository."""
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    listed = set(re.findall(r"\]\(([\w/-]+\.md)", index))
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert listed == pages | {"notes/index.md"}


@by_page
def test_named_files_exist(page: Path) -> None:
    """Paths are relative to the repository; Kotlin files may be named without a folder."""
    kotlin = {file.name for file in KOTLIN}
    bad = []
    for code in inline_code(page):
        first = code.split()[0]
        if _PATH.match(first) and "cli/target" not in first and not (ROOT / first).exists():
            bad.append(first)
        if re.fullmatch(r"\w+\.kt", first) and first not in kotlin:
            bad.append(first)
    assert not bad, bad


@by_page
def test_named_modules_exist(page: Path) -> None:
    """`export.parity.compare` is a module; `lvt.demo.DEMO_SIZE` is a name in a module."""
    bad = []
    for code in inline_code(page):
        if not re.fullmatch(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+", code):
            continue
        names, file = code.split("."), None
        for count in range(len(names), 0, -1):
            path = ROOT.joinpath(*names[:count])
            file = next(
                (f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None
            )
            if file is not None:
                rest = names[count:]
                break
        if file is None or any(name not in file.read_text("utf-8") for name in rest[:1]):
            bad.append(code)
    assert not bad, bad


def test_the_names_of_the_kotlin_example_exist() -> None:
    """The core declares the imported classes and the called functions."""
    (example,) = [text for page in PAGES for _, text in blocks(page, "kotlin")]
    core = ROOT / "android_demo" / "core" / "src" / "main" / "kotlin"
    source = "\n".join(file.read_text("utf-8") for file in core.rglob("*.kt"))
    imported = re.findall(r"^import org\.lvtmobile\.core\.(\w+)$", example, re.MULTILINE)
    assert imported
    for name in imported:
        assert re.search(rf"\b(?:class|object|interface) {name}\b", source), name
    for name in re.findall(r"\.(open|predict)\(", example):
        assert f"fun {name}(" in source


@pytest.fixture(scope="module")
def artifacts(
    tiny_checkpoint: Path,
    shared_artifacts: SharedArtifacts,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Return a folder with model.onnx, model.tflite, model.pte and photo.jpg."""
    for target in ("tflite", "executorch"):
        if not installed(TARGETS[target]):
            pytest.skip(f"needs lvt-mobile[{target}]")
    folder = tmp_path_factory.mktemp("examples")
    for target in ("onnx", "tflite", "executorch"):
        exported = shared_artifacts.export(ExportRequest(target, checkpoint=tiny_checkpoint)).path
        copy = folder / f"model{TARGETS[target].suffix}"
        shutil.copy(exported, copy)
        shutil.copy(manifest_path(exported), manifest_path(copy))
    shutil.copy(packaged_photos()[0], folder / "photo.jpg")
    return folder


@pytest.mark.parametrize("name", ["api", "targets"])
def test_python_examples_run(name: str, artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of a page run in order and share their variables."""
    monkeypatch.chdir(artifacts)
    page = ROOT / "docs" / f"{name}.md"
    names: dict[str, Any] = {}
    for line, text in blocks(page, "python"):
        exec(compile("\n" * (line - 1) + text, str(page), "exec"), names)
        if "outputs" in names:
            values = names["outputs"]
            arrays = list(values.values() if isinstance(values, dict) else values)
            assert [tuple(array.shape) for array in arrays] == [(1, 3, 16, 24)]
    assert names["prediction"].label_map.shape == names["picture"].shape[:2]


@pytest.mark.slow
def test_the_python_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the checkpoint to overlay, latency and int8, as the page writes it; measured briefly."""
    monkeypatch.setitem(PRESETS, "quick", BenchmarkPreset("quick", min_runs=8, min_seconds=0.1))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(make_scene(7, DEMO_SIZE).image).save("street.jpg")
    page = ROOT / "docs" / "python.md"
    names: dict[str, Any] = {}
    for line, text in blocks(page, "python"):
        exec(compile("\n" * (line - 1) + text, str(page), "exec"), names)
    assert any(segment["score"] for segment in names["prediction"].to_dict()["segments"])
    with Image.open("overlay.png") as overlay:
        assert overlay.height == DEMO_SIZE[0]
    first, second = json.loads(Path("results.json").read_text())["results"]
    assert second["speedup_over_first"]["value"] > 0
    assert (first["precision"], second["precision"]) == ("fp32", "int8")


def test_the_manifest_page(artifacts: Path) -> None:
    """The page lists every field and step, and its code from logits to labels equals ours."""
    page = ROOT / "docs" / "manifest.md"
    manifest = json.loads(manifest_path(artifacts / "model.tflite").read_text("utf-8"))
    documented = {
        name
        for row in re.findall(r"^\| (`.*?) \|", page.read_text("utf-8"), re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert documented >= {*manifest, "quantization"}
    assert documented >= set(STEP_TYPES)
    names: dict[str, Any] = {}
    ((_, text),) = blocks(page, "python")
    exec(text, names)
    logits = np.random.default_rng(0).normal(size=(1, 5, 16, 24)).astype(np.float32)
    for content, picture in (((64, 96), (75, 113)), ((48, 96), (300, 600))):
        labels = names["labels_of"](logits, (64, 96), content, picture).numpy()
        assert np.array_equal(labels, label_map(logits, (64, 96), picture, content))


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    """Loading a font or script of another host would reveal the readers to that host."""
    pytest.importorskip("mkdocs", reason="needs the group docs")
    pytest.importorskip("mkdocstrings", reason="needs the group docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir"]
    built = subprocess.run([*command, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 9
    loading = re.compile(
        r"<(?:script|img|iframe)[^>]+src=\"?(?:https?:)?//|<link[^>]+href=\"?https?://"
    )
    assert not [page.name for page in pages if loading.search(page.read_text("utf-8"))]
    assert "Reads the manifest of a model file" in (tmp_path / "api.html").read_text("utf-8")
