"""Checks the APK that `pack-apk.sh` builds: manifest, resources, code and artifacts."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from export.android import models_folder, put_into
from export.artifact import manifest_path
from export.exporter import ExportResult
from tests.android.core import PROJECT

TOOLS = ("aapt2", "zipalign", "apksigner", "jar", "keytool")
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
PACK_APK = PROJECT / "maven" / "pack-apk.sh"
DEX = PROJECT / "maven" / "dex-check" / "target" / "dex" / "classes.dex"
MAIN, BENCHMARK, PICTURES = (
    f"org.lvtmobile.app.{name}" for name in ("MainActivity", "BenchmarkActivity", "SharedPictures")
)


def said(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@dataclass(frozen=True)
class Apk:
    """A packed app, and what went into it."""

    path: Path
    artifact: Path

    def badging(self) -> list[str]:
        return said("aapt2", "dump", "badging", self.path).splitlines()

    def components(self) -> dict[str, dict[str, str]]:
        """Attributes of each activity, service, receiver and provider, by name."""
        tree = said("aapt2", "dump", "xmltree", self.path, "--file", "AndroidManifest.xml")
        found = {}
        for element in re.split(r"^ *E: ", tree, flags=re.MULTILINE):
            if re.match(r"activity|service|receiver|provider", element):
                pairs = re.findall(r'android:(\w+)\(\w+\)="?([^"\s]*)', element)
                attributes = dict(pairs)
                found[attributes["name"]] = attributes
        return found


@pytest.fixture(scope="module")
def apk(tiny_export: ExportResult, tmp_path_factory: pytest.TempPathFactory) -> Apk:
    """The app with an artifact in its assets, packed."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or not FRAMEWORK.is_file():
        pytest.skip(f"no APK here: {', '.join(missing) or FRAMEWORK} is missing")
    folder = tmp_path_factory.mktemp("apk")
    shutil.copytree(PROJECT / "app" / "src" / "main" / "res", folder / "app/src/main/res")
    for name in ("src/main/AndroidManifest.xml", "build.gradle.kts"):
        shutil.copy(PROJECT / "app" / name, folder / "app" / name)
    put_into(models_folder(folder), tiny_export.path)
    said(PACK_APK, folder / "demo.apk", folder / "app")
    return Apk(folder / "demo.apk", tiny_export.path)


def test_identity(apk: Apk) -> None:
    """What Gradle's file says, for a phone decides by it whether to install."""
    gradle = (PROJECT / "app" / "build.gradle.kts").read_text("utf-8")
    target = re.findall(r"targetSdk = (\d+)", gradle)[0]
    lines = apk.badging()
    assert lines[0].startswith("package: name='org.lvtmobile.app' versionCode='1' ")
    assert "sdkVersion:'26'" in lines
    assert f"targetSdkVersion:'{target}'" in lines
    assert "application-label:'LVT demo'" in lines


def test_permissions(apk: Apk) -> None:
    """The manifest in the source says so too; this is what becomes of it."""
    asked = [line for line in apk.badging() if line.startswith("uses-permission")]
    assert asked == ["uses-permission: name='android.permission.CAMERA'"]


def test_entries(apk: Apk) -> None:
    """Any app could else make the phone run hot, or read what the user has shared."""
    components = apk.components()
    assert components.keys() == {MAIN, BENCHMARK, PICTURES}
    assert components[PICTURES]["exported"] == "false"
    assert components[PICTURES]["authorities"] == "org.lvtmobile.app.shared"
    assert components[BENCHMARK]["exported"] == components[MAIN]["exported"] == "true"
    assert components[BENCHMARK]["permission"] == "android.permission.DUMP"


def test_opencl(apk: Apk) -> None:
    """Android 12 and newer hide it from apps that do not name it; the GPU is slower without."""
    tree = said("aapt2", "dump", "xmltree", apk.path, "--file", "AndroidManifest.xml")
    assert re.search(r"E: uses-native-library.*\n.*libOpenCL\.so.*\n.*required.*=false", tree)


def test_assets(apk: Apk) -> None:
    """The app checks the hash of what it unpacks."""
    with zipfile.ZipFile(apk.path) as packed:
        for file in (apk.artifact, manifest_path(apk.artifact)):
            assert packed.read(f"assets/models/{file.name}") == file.read_bytes()


def test_installable(apk: Apk) -> None:
    """Android 11 and newer refuse resources that are packed or not aligned, or an unsigned file."""
    with zipfile.ZipFile(apk.path) as packed:
        assert packed.getinfo("resources.arsc").compress_type == zipfile.ZIP_STORED
    said("zipalign", "-c", "-p", "4", apk.path)
    said("apksigner", "verify", apk.path)


def test_code(apk: Apk) -> None:
    """Every class that the manifest names, and no lambda that Android cannot make."""
    if not DEX.is_file():
        pytest.skip("make android has not made the bytecode")
    with zipfile.ZipFile(apk.path) as packed:
        code = packed.read("classes.dex")
    assert code.startswith(b"dex\n")
    for name in (MAIN, BENCHMARK, PICTURES):
        assert f"L{name.replace('.', '/')};".encode() in code
    assert b"Lai/onnxruntime/OrtSession;" in code
    assert b"Lorg/tensorflow/lite/Interpreter;" in code
    assert b"Lorg/tensorflow/lite/gpu/GpuDelegate;" in code
    assert b"LambdaMetafactory" not in code


def test_tool_is_missing(tmp_path: Path) -> None:
    command = [shutil.which("bash") or "bash", str(PACK_APK), str(tmp_path / "a.apk")]
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("dirname", "sed"):
        (tools / name).symlink_to(shutil.which(name) or name)
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": str(tools)}
    )
    assert result.returncode == 2
    assert result.stderr == "pack-apk.sh: aapt2 is not installed\n"
    assert not (tmp_path / "a.apk").exists()
