"""Checks the APK that `pack-apk.sh` builds: manifest, resources, code and artifacts."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from export.artifact.android_assets import copy_artifact, models_folder
from export.artifact.files import manifest_path
from export.pipeline import ExportResult
from tests.android.core import PROJECT

pytestmark = pytest.mark.slow

TOOLS = ("aapt2", "zipalign", "apksigner", "jar", "keytool")
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
PACK_APK = PROJECT / "maven" / "pack-apk.sh"
DEX = PROJECT / "maven" / "dex-check" / "target" / "dex" / "classes.dex"
MAIN, BENCHMARK, PROVIDER = (
    f"org.lvtmobile.app.{name}"
    for name in ("MainActivity", "BenchmarkActivity", "SharedPictureProvider")
)


def run_tool(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@dataclass(frozen=True)
class Apk:
    """The APK, and the artifact in its assets."""

    path: Path
    artifact: Path

    def badging(self) -> list[str]:
        return run_tool("aapt2", "dump", "badging", self.path).splitlines()

    def components(self) -> dict[str, dict[str, str]]:
        """Attributes of each activity, service, receiver and provider, by component name."""
        tree = run_tool("aapt2", "dump", "xmltree", self.path, "--file", "AndroidManifest.xml")
        found = {}
        for element in re.split(r"^ *E: ", tree, flags=re.MULTILINE):
            if re.match(r"activity|service|receiver|provider", element):
                pairs = re.findall(r'android:(\w+)\(\w+\)="?([^"\s]*)', element)
                attributes = dict(pairs)
                found[attributes["name"]] = attributes
        return found


@pytest.fixture(scope="module")
def apk(tiny_export: ExportResult, tmp_path_factory: pytest.TempPathFactory) -> Apk:
    """Builds an APK with an artifact in its assets."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or not FRAMEWORK.is_file():
        pytest.skip(f"cannot build an APK: {', '.join(missing) or FRAMEWORK} is missing")
    folder = tmp_path_factory.mktemp("apk")
    shutil.copytree(PROJECT / "app" / "src" / "main" / "res", folder / "app/src/main/res")
    for name in ("src/main/AndroidManifest.xml", "build.gradle.kts"):
        shutil.copy(PROJECT / "app" / name, folder / "app" / name)
    copy_artifact(models_folder(folder), tiny_export.path)
    run_tool(PACK_APK, folder / "demo.apk", folder / "app")
    return Apk(folder / "demo.apk", tiny_export.path)


def test_identity(apk: Apk) -> None:
    """Package name, version and SDK levels must equal those in build.gradle.kts."""
    gradle = (PROJECT / "app" / "build.gradle.kts").read_text("utf-8")
    target = re.findall(r"targetSdk = (\d+)", gradle)[0]
    lines = apk.badging()
    assert lines[0].startswith("package: name='org.lvtmobile.app' versionCode='1' ")
    assert "sdkVersion:'26'" in lines
    assert f"targetSdkVersion:'{target}'" in lines
    assert "application-label:'LVT Lens'" in lines


def test_permissions(apk: Apk) -> None:
    """The APK must request the camera permission only."""
    permissions = [line for line in apk.badging() if line.startswith("uses-permission")]
    assert permissions == ["uses-permission: name='android.permission.CAMERA'"]


def test_components(apk: Apk) -> None:
    """Other apps must not be able to start a benchmark or to read the shared picture."""
    components = apk.components()
    assert components.keys() == {MAIN, BENCHMARK, PROVIDER}
    assert components[PROVIDER]["exported"] == "false"
    assert components[PROVIDER]["authorities"] == "org.lvtmobile.app.shared"
    assert components[BENCHMARK]["exported"] == components[MAIN]["exported"] == "true"
    assert components[BENCHMARK]["permission"] == "android.permission.DUMP"


@pytest.mark.parametrize("library", ["libOpenCL", "libcdsprpc"])
def test_native_libraries(apk: Apk, library: str) -> None:
    """Without this element, Android 12 hides the way to the GPU or to Qualcomm's NPU."""
    tree = run_tool("aapt2", "dump", "xmltree", apk.path, "--file", "AndroidManifest.xml")
    assert re.search(rf"E: uses-native-library.*\n.*{library}\.so.*\n.*required.*=false", tree)


def page_alignments(library: bytes) -> set[int]:
    """Alignments of the segments that a 64-bit ELF file loads into memory."""
    offset, (size, count) = (
        struct.unpack_from("<Q", library, 32)[0],
        struct.unpack_from("<HH", library, 54),
    )
    headers = [offset + index * size for index in range(count)]
    loaded = [start for start in headers if struct.unpack_from("<I", library, start)[0] == 1]
    return {struct.unpack_from("<Q", library, start + 48)[0] for start in loaded}


def test_alignment(apk: Apk) -> None:
    """Phones with memory pages of 16 KB load aligned libraries only.

    Those of TensorFlow Lite, which this APK contains in place of LiteRT's, are known not to be.
    """
    with zipfile.ZipFile(apk.path) as packed:
        names = [name for name in packed.namelist() if name.endswith(".so")]
        if not names:
            pytest.skip("no libraries: run make android first")
        alignments = {name: page_alignments(packed.read(name)) for name in names}
    not_ready = {Path(name).name for name, found in alignments.items() if min(found) < 16384}
    assert not_ready == {"libtensorflowlite_jni.so", "libtensorflowlite_gpu_jni.so"}


def test_assets(apk: Apk) -> None:
    """Files in the APK must be unchanged, because the app verifies their hash."""
    with zipfile.ZipFile(apk.path) as packed:
        for file in (apk.artifact, manifest_path(apk.artifact)):
            assert packed.read(f"assets/models/{file.name}") == file.read_bytes()


def test_installable(apk: Apk) -> None:
    """Android 11 rejects compressed or unaligned resources and unsigned files."""
    with zipfile.ZipFile(apk.path) as packed:
        assert packed.getinfo("resources.arsc").compress_type == zipfile.ZIP_STORED
    run_tool("zipalign", "-c", "-p", "4", apk.path)
    run_tool("apksigner", "verify", apk.path)


def test_code(apk: Apk) -> None:
    """All classes named in the manifest, and no lambdas that Android does not support."""
    if not DEX.is_file():
        pytest.skip("no bytecode: run make android first")
    with zipfile.ZipFile(apk.path) as packed:
        code = packed.read("classes.dex")
    assert code.startswith(b"dex\n")
    for name in (MAIN, BENCHMARK, PROVIDER):
        assert f"L{name.replace('.', '/')};".encode() in code
    assert b"Lai/onnxruntime/OrtSession;" in code
    assert b"Lorg/tensorflow/lite/Interpreter;" in code
    assert b"Lorg/tensorflow/lite/gpu/GpuDelegate;" in code
    assert b"Lorg/pytorch/executorch/Module;" in code
    assert b"LambdaMetafactory" not in code


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("pack-apk.sh", (), "pack-apk.sh: aapt2 is not installed"),
        (
            "fetch-executorch.sh",
            ("0.8.5", "0" * 64),
            "fetch-executorch.sh: npm is not installed; install Node.js",
        ),
    ],
)
def test_reports_a_missing_tool(
    script: str, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    """A build that lacks a tool must say which one in one line."""
    bash, made = shutil.which("bash") or "bash", tmp_path / "made"
    command = [bash, str(PROJECT / "maven" / script), str(made), *arguments]
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("dirname", "sed"):
        (tools / name).symlink_to(shutil.which(name) or name)
    environment = {"PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 2
    assert result.stderr == f"{message}\n"
    assert not made.exists()


def test_refuses_a_damaged_package(tmp_path: Path) -> None:
    """What npm fetched is compiled into the app, so its hash must be the known one."""
    package = tmp_path / "lvt-mobile" / "react-native-executorch-0.8.5.tgz"
    package.parent.mkdir()
    package.write_bytes(b"something else")
    result = subprocess.run(
        [PROJECT / "maven" / "fetch-executorch.sh", tmp_path / "made", "0.8.5", "0" * 64],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert result.returncode == 2
    assert result.stderr == f"fetch-executorch.sh: {package} is damaged; delete it\n"
    assert not (tmp_path / "made").exists()
