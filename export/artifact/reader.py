"""An artifact: a model file and its manifest, the single source of truth for whoever runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.capabilities import target_info
from export.predict.prediction import Answer, answer
from export.session import Outputs
from lvt.config import Size
from lvt.data.labels import Labels
from lvt.data.preprocessing import Preprocessing, golden_picture
from lvt.errors import UserError
from lvt.models import ModelSpec
from lvt.support.files import directory_lock, file_sha256, publish, publish_folder
from lvt.support.validation import json_text, parse_json, whole_number

SCHEMA = 1
"""Raised when a reader of the old manifest would misread a new one."""

PAIR_SUMS = "pair_sums"
"""Manifest key of int8 ONNX files whose sums cannot saturate (`export.targets.onnx.saturation`)."""


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of the model file."""

    name: str
    shape: tuple[int, ...]
    layout: str
    meaning: str
    dtype: str = "float32"

    def to_dict(self) -> dict[str, Any]:
        """As it stands in manifests."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "layout": self.layout,
            "meaning": self.meaning,
        }


@dataclass(frozen=True)
class Artifact:
    """A model file whose manifest has been read and whose hash has been checked.

    Attributes:
        path: the model file.
        manifest: the manifest as parsed.
    """

    path: Path
    manifest: Mapping[str, Any]
    spec: ModelSpec
    preprocessing: Preprocessing
    labels: Labels | None

    @property
    def target(self) -> str:
        """Name of the target format."""
        return str(self.manifest["target"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user of the file has to know, one line each."""
        quantization = self.manifest.get("quantization") or {}
        int8 = self.manifest["precision"] == "int8" and self.target == "onnx"
        if int8 and PAIR_SUMS not in quantization:
            return (
                f"{self.path.name} was quantized by lvt-mobile 0.1: on x86 processors without VNNI "
                "its sums saturate and its accuracy drops; quantize it again",
            )
        return ()

    @property
    def size(self) -> Size:
        """Height and width of the network's input."""
        image = self.manifest["inputs"][0]
        height, width = image["layout"].index("H"), image["layout"].index("W")
        return int(image["shape"][height]), int(image["shape"][width])

    def answer(self, outputs: Outputs, original: Size) -> Answer | None:
        """What the outputs say of a picture of the `original` size; None for a bare backbone."""
        return answer(self.spec, self.preprocessing, outputs, self.size, original)


def manifest_path(model: Path) -> Path:
    """Where the manifest of a model file stands: `<file>.json`."""
    return model.parent / f"{model.name}.json"


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Writes a manifest, readable for people too."""
    path.write_text(json_text(manifest) + "\n", "utf-8")


def _contents(model: Path) -> list[Path]:
    """The files of a model: itself, or where it is a folder (Core ML), all below it, sorted."""
    if not model.is_dir():
        return [model]
    files = (path for path in model.rglob("*") if path.is_file() and path.name != ".DS_Store")
    return sorted(files, key=lambda path: path.relative_to(model).as_posix())


def content_bytes(model: Path) -> int:
    """Size of a model file or folder."""
    return sum(path.stat().st_size for path in _contents(model))


def content_sha256(model: Path) -> str:
    """Hex digest of a model file; of a folder, over `digest  relative/name` lines of its
    files, in the order of the names; a Mac's .DS_Store is none of them."""
    if not model.is_dir():
        return file_sha256(model)
    lines = (
        f"{file_sha256(path)}  {path.relative_to(model).as_posix()}\n" for path in _contents(model)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def publish_artifact(file: Path, destination: Path) -> None:
    """Moves a finished model and its manifest to their final names.

    The manifest goes last: without it nothing is an artifact. Two processes that publish the same
    artifact do so one after the other, so that file and manifest are of one of them.

    Raises:
        UserError: the destination is taken by something that is not a model of this kind.
    """
    if manifest_path(destination).is_dir():
        raise UserError(f"{manifest_path(destination)} is a folder, and in the manifest's place")
    with directory_lock(destination.parent):
        (publish_folder if file.is_dir() else publish)(file, destination)
        publish(manifest_path(file), manifest_path(destination))


def open_artifact(path: Path) -> Artifact:
    """Reads the manifest of a model file and checks the file against it.

    Raises:
        UserError: no file, no manifest, one that is damaged or of another schema, or a file that
            is not the one the manifest was written for.
    """
    if not path.exists():
        raise UserError(f"no artifact at {path}")
    if path.suffix == ".json" and path.with_suffix("").exists():
        raise UserError(f"{path.name} is a manifest; give its model file, {path.stem}")
    sidecar = manifest_path(path)
    if not sidecar.is_file():
        raise UserError(
            f"{path.name} is no artifact, for it has no manifest: {sidecar} is missing; "
            "lvt-export writes both, and they belong side by side"
        )
    try:
        manifest = parse_json(sidecar.read_text("utf-8-sig"))
        schema = manifest["schema"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{sidecar} is not a manifest: {error!r}") from error
    if schema != SCHEMA:
        raise UserError(f"{sidecar} has schema {schema}; this version reads {SCHEMA}")
    try:
        spec = ModelSpec.from_dict(manifest["model"])
        preprocessing = Preprocessing.from_dict(manifest["preprocessing"])
        labels = Labels.from_dict(manifest["labels"]) if manifest["labels"] else None
        artifact = Artifact(path, manifest, spec, preprocessing, labels)
        _check(artifact)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UserError(f"{sidecar} is incomplete or damaged: {error!r}") from error
    except UserError as error:
        raise UserError(f"{sidecar}: {error}") from error
    if content_sha256(path) != manifest["file"]["sha256"]:
        raise UserError(
            f"{path.name} is not the file its manifest describes (SHA-256 differs); "
            "export it again, or put file and manifest of one export side by side"
        )
    return artifact


_DTYPES = ("float32", "int32", "uint8")


def _check(artifact: Artifact) -> None:
    """What consumers take from a manifest is there, is of its kind, and fits together.

    Raises:
        UserError, KeyError, TypeError, ValueError, IndexError, AttributeError: it is not.
    """
    manifest, spec = artifact.manifest, artifact.spec
    target_info(artifact.target)
    for text in (manifest["precision"], manifest["file"]["sha256"]):
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is no text")
    for count in (manifest["parameters"], manifest["file"]["bytes"], *manifest["macs"].values()):
        whole_number(count, "a count of the manifest", 0, 1 << 62)
    _ = manifest["macs"]["reference"], manifest["macs"]["artifact"]
    if manifest["task"] != spec.task:
        raise ValueError(f"the task is {manifest['task']!r}, the model's {spec.task}")
    for tensor in (*manifest["inputs"], *manifest["outputs"]):
        if tensor["dtype"] not in _DTYPES or not isinstance(tensor["name"], str):
            raise ValueError(f"{tensor['name']!r} of {tensor['dtype']!r} is no tensor of ours")
        for side in tensor["shape"]:
            whole_number(side, f"a side of {tensor['name']}", 1, 1 << 24)
    if (artifact.labels is None) != (spec.classes == 0) or (
        artifact.labels is not None and len(artifact.labels.names) != spec.classes
    ):
        raise ValueError(f"the labels are not those of {spec.classes} classes")
    prepared = artifact.preprocessing(golden_picture()).shape[2:]
    if prepared != artifact.size:
        raise ValueError(f"preprocessing gives {prepared}, the model takes {artifact.size}")
    accuracy = manifest["accuracy"]
    if accuracy is not None:
        for which in ("float", "quantized"):
            for value in accuracy[which]["figures"].values():
                _ = None if value is None else float(value)
        _ = int(accuracy["images"])
    _ = manifest["source"]["sha256"], manifest["source"]["ema"]
