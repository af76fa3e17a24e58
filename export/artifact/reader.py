"""Opens artifacts. The manifest is the single source of truth for every program that runs one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from export.artifact.files import PAIR_SUMS, PARTS_SCHEMA, SCHEMA, content_sha256, manifest_path
from export.capabilities import target_info
from export.open_file import open_exact, open_file
from export.panoptic.parts.layout import PARTS, HostConstants, part_inputs
from export.predict.picture import Picture
from export.predict.prediction import Prediction, decode_outputs
from export.predict.predictor import SessionPredictor
from export.session import Outputs, Session
from export.targets import load_target
from lvt.checkpoint.suffixes import CHECKPOINT_SUFFIXES
from lvt.config import Size
from lvt.data.labels import Labels
from lvt.data.preprocessing import Preprocessing, golden_picture
from lvt.errors import UserError
from lvt.models import ModelSpec
from lvt.support.validation import parse_json, whole_number

_DTYPES = ("float32", "int32", "uint8", "int8")


@dataclass(frozen=True)
class Artifact:
    """A model file with its manifest. Hash and preprocessing have been checked.

    Attributes:
        path: the model file.
        manifest: the parsed manifest.
        spec: describes the model.
        preprocessing: from a picture to the input tensor.
        labels: class names and colours; None for a backbone.
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
    def precision(self) -> str:
        """Precision of the file, such as `fp32` or `int8`."""
        return str(self.manifest["precision"])

    @property
    def notes(self) -> tuple[str, ...]:
        """Facts that the user of the file should know, one line each."""
        quantization = self.manifest.get("quantization") or {}
        int8 = self.precision == "int8" and self.target == "onnx"
        if int8 and PAIR_SUMS not in quantization:
            return (
                f"{self.path.name} was quantized by lvt-mobile 0.1: on x86 processors without VNNI "
                "its sums saturate and its accuracy drops; quantize it again",
            )
        return ()

    @property
    def size(self) -> Size:
        """Height and width of the input, in pixels."""
        image = self.manifest["inputs"][0]
        height, width = image["layout"].index("H"), image["layout"].index("W")
        return int(image["shape"][height]), int(image["shape"][width])

    @cached_property
    def host(self) -> HostConstants | None:
        """Constants of the host steps; None if the file holds the whole model."""
        parts = self.manifest.get("parts")
        return None if parts is None else HostConstants.from_dict(parts["host"])

    def open_session(self, *, threads: int = 0) -> Session:
        """Opens the file in its runtime; 0 threads leaves the choice to the runtime.

        Raises:
            UserError: a missing extra, or the runtime refuses the file.
        """
        return open_file(load_target(self.target), self.path, self.host, threads=threads)

    def decode(self, outputs: Outputs, picture_size: Size) -> Prediction | None:
        """The prediction that raw outputs encode.

        Args:
            outputs: of a session of this artifact.
            picture_size: height and width of the picture.

        Returns:
            None for a bare backbone.
        """
        if self.labels is None:
            return None
        return decode_outputs(
            self.spec, self.labels, self.preprocessing, outputs, self.size, picture_size
        )

    def predict(self, picture: Picture) -> Prediction:
        """Runs the artifact on one picture, in its own runtime.

        The first call opens the runtime; later calls reuse it.

        Args:
            picture: image file, or (H, W, 3) uint8 RGB.

        Raises:
            UserError: a bare backbone, a missing extra, or a picture that cannot be read.
        """
        return self._predictor.predict(picture)

    @cached_property
    def _predictor(self) -> SessionPredictor:
        return self.predictor()

    def predictor(self, *, threads: int = 0, on_cpu: bool = False) -> SessionPredictor:
        """Opens the artifact's runtime.

        Args:
            threads: 0 leaves the choice to the runtime.
            on_cpu: a compiled artifact runs as in `open_exact`, not on its chip's software model.

        Raises:
            UserError: a bare backbone, which predicts nothing; or a missing extra.
        """
        if self.labels is None:
            raise UserError(f"{self.path.name} is a bare backbone: it has no classes to predict")
        session = open_exact(self.path, self.host) if on_cpu else self.open_session(threads=threads)
        return SessionPredictor(
            session,
            self.spec,
            self.labels,
            self.preprocessing,
            self.size,
            self.notes,
        )


def open_artifact(path: str | Path) -> Artifact:
    """Reads the manifest of a model file and checks the file against it.

    Raises:
        UserError: the file or its manifest is missing or damaged, the manifest has another schema
            or belongs to another file.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"no artifact at {path}")
    if path.suffix == ".json" and path.with_suffix("").exists():
        raise UserError(f"{path.name} is a manifest; give its model file, {path.stem}")
    sidecar = manifest_path(path)
    if not sidecar.is_file():
        if path.suffix in CHECKPOINT_SUFFIXES:
            raise UserError(
                f"{path} is a checkpoint, not an exported file: run lvt-export onnx --ckpt {path} "
                "first"
            )
        raise UserError(
            f"Missing manifest {sidecar}. lvt-export writes it; keep it next to {path.name}."
        )
    try:
        manifest = parse_json(sidecar.read_text("utf-8-sig"))
        schema = manifest["schema"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{sidecar} is not a manifest: {error!r}") from error
    if schema not in (SCHEMA, PARTS_SCHEMA):
        known = f"{SCHEMA} and {PARTS_SCHEMA}"
        raise UserError(f"{sidecar} has schema {schema}; this version reads {known}")
    try:
        spec = ModelSpec.from_dict(manifest["model"])
        preprocessing = Preprocessing.from_dict(manifest["preprocessing"])
        labels = Labels.from_dict(manifest["labels"]) if manifest["labels"] else None
        artifact = Artifact(path, manifest, spec, preprocessing, labels)
        _check_contents(artifact)
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


def _check_contents(artifact: Artifact) -> None:
    """Checks that every manifest entry that programs read exists, has its type, and is consistent.

    Raises:
        UserError, KeyError, TypeError, ValueError, IndexError, AttributeError: it does not.
    """
    manifest, spec = artifact.manifest, artifact.spec
    target_info(artifact.target)
    for text in (manifest["precision"], manifest["file"]["sha256"]):
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is not a string")
    for count in (manifest["parameters"], manifest["file"]["bytes"], *manifest["macs"].values()):
        whole_number(count, "a count of the manifest", 0, 1 << 62)
    _ = manifest["macs"]["reference"], manifest["macs"]["artifact"]
    if manifest["task"] != spec.task:
        raise ValueError(f"the task is {manifest['task']!r}, the model's is {spec.task!r}")
    for tensor in (*manifest["inputs"], *manifest["outputs"]):
        if tensor["dtype"] not in _DTYPES or not isinstance(tensor["name"], str):
            raise ValueError(f"tensor {tensor['name']!r} has unknown type {tensor['dtype']!r}")
        for side in tensor["shape"]:
            whole_number(side, f"a side of {tensor['name']}", 1, 1 << 24)
    if (artifact.labels is None) != (spec.classes == 0) or (
        artifact.labels is not None and len(artifact.labels.names) != spec.classes
    ):
        raise ValueError(f"the number of labels is not the model's {spec.classes} classes")
    prepared = artifact.preprocessing(golden_picture()).shape[2:]
    if prepared != artifact.size:
        raise ValueError(f"preprocessing gives {prepared}, the model takes {artifact.size}")
    if (artifact.host is not None) != (manifest["schema"] == PARTS_SCHEMA):
        raise ValueError(f"schema {manifest['schema']} and parts do not go together")
    if artifact.host is not None:
        _check_parts(artifact, artifact.host)
    if target_info(artifact.target).compiled:
        _check_chips(manifest["chips"])
    accuracy = manifest["accuracy"]
    if accuracy is not None:
        for model in ("float", "quantized"):
            for value in accuracy[model]["figures"].values():
                _ = None if value is None else float(value)
        _ = int(accuracy["images"])
    _ = manifest["source"]["sha256"], manifest["source"]["ema"]


def _check_chips(chips: Sequence[Mapping[str, Any]]) -> None:
    """Checks the chips of a compiled file, as in `_check_contents`."""
    for text in (text for chip in chips for text in (chip["soc"], chip["name"])):
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is not a string")
    if not chips:
        raise ValueError("it is compiled for no chip")


def _check_parts(artifact: Artifact, host: HostConstants) -> None:
    """Checks that the entry points are those that the host steps call.

    Raises:
        KeyError, TypeError, ValueError: they are not.
    """
    if host.image != artifact.size:
        raise ValueError(f"parts are for images of {host.image}, not {artifact.size}")
    entries = artifact.manifest["parts"]["entry_points"]
    found = {
        entry["name"]: [(info["name"], tuple(info["shape"])) for info in entry["inputs"]]
        for entry in entries
    }
    expected = {name: [(i.name, i.shape) for i in part_inputs(host, name)] for name in PARTS}
    del found["core"], expected["core"]  # its image is checked with the other inputs
    if found != expected:
        raise ValueError(f"entry points take {found}, the host steps give {expected}")
