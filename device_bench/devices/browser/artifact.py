"""Artifacts for the page, and the interpretation of the outputs that come back.

The browser only runs the model. Pre-processing, comparison of outputs and decoding of predictions
happen here, with the code that all runtimes share.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from device_bench.devices.browser.errors import RequestError
from export.artifact.reader import Artifact, open_artifact
from export.panoptic.parts.layout import PARTS
from export.parity.compare import TOLERANCES, ParityReport, Tolerance, compare
from export.predict.prediction import ClassPrediction
from export.session import Outputs, RecordedSession, Session
from export.targets import load_target
from export.targets.onnx.convert import part_path
from lvt.data.decoding import PictureError, decode
from lvt.data.images import packaged_photos, read_image
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from quantization.candidate import MIN_SIMULATION_SQNR_DB

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""

_INT8_TOLERANCE = Tolerance(
    relative_error=1.0, sqnr_db=MIN_SIMULATION_SQNR_DB, agreement=0.0, unpaired=1.0
)
_MAX_PIXELS = 16_000_000
_DTYPES = {"float32": np.dtype("<f4"), "int32": np.dtype("<i4")}


@dataclass(frozen=True)
class SamplePicture:
    """A picture that the page offers, and that outputs are compared on."""

    name: str
    picture: Picture

    @cached_property
    def png(self) -> bytes:
        """The picture as a PNG file."""
        return _encode_png(Image.fromarray(self.picture))


def sample_pictures() -> tuple[SamplePicture, ...]:
    """Two packaged photos, and two generated scenes with objects that the demo model detects.

    The first is the one that `lvt-bench` uses for its timing.
    """
    photos = [SamplePicture(path.stem, read_image(path)) for path in packaged_photos()[:2]]
    scenes = [
        SamplePicture(f"scene {seed}", make_scene(seed, DEMO_SIZE).image)
        for seed in HELD_OUT_SEEDS[:2]
    ]
    return (*photos, *scenes)


@dataclass(frozen=True, eq=False)
class ServedArtifact:
    """An artifact with the inputs and expected outputs of all sample pictures.

    Attributes:
        inputs: (1, 3, H, W) of each sample picture.
        expected: outputs of the reference for each sample picture.
        reference: name of the runtime that computed `expected`.
    """

    artifact: Artifact
    inputs: tuple[NDArray[np.float32], ...]
    expected: tuple[Outputs, ...]
    reference: str

    def describe(self) -> dict[str, Any]:
        """The description that the page receives."""
        manifest = self.artifact.manifest
        fields = ("name", "shape", "dtype")
        return {
            "name": self.artifact.path.name,
            "task": manifest["task"],
            "precision": manifest["precision"],
            "bytes": manifest["file"]["bytes"],
            "input": {field: manifest["inputs"][0][field] for field in fields},
            "outputs": [{field: entry[field] for field in fields} for entry in manifest["outputs"]],
            "host": None if self.artifact.host is None else self.artifact.host.to_dict(),
        }

    @cached_property
    def files(self) -> Mapping[str | None, Path]:
        """The model's files by part; None for the file of a whole model."""
        return _model_files(self.artifact)

    @property
    def output_bytes(self) -> int:
        """Size of the outputs of one picture."""
        return sum(
            math.prod(entry["shape"]) * _DTYPES[entry["dtype"]].itemsize
            for entry in self.artifact.manifest["outputs"]
        )

    def read_outputs(self, body: memoryview) -> Outputs:
        """Read the outputs of one picture: little endian, concatenated in the manifest's order.

        Raises:
            RequestError: wrong size, or values that are not finite.
        """
        if len(body) != self.output_bytes:
            raise RequestError(f"{len(body)} bytes of outputs, {self.output_bytes} were expected")
        outputs: Outputs = {}
        offset = 0
        for entry in self.artifact.manifest["outputs"]:
            count, dtype = math.prod(entry["shape"]), _DTYPES[entry["dtype"]]
            values = np.frombuffer(body, dtype, count, offset)
            if not np.isfinite(values).all():
                raise RequestError(
                    f"{entry['name']} has values in this browser that are not finite numbers"
                )
            outputs[entry["name"]] = values.reshape(entry["shape"]).copy()  # writable
            offset += values.nbytes
        return outputs

    def compare_outputs(self, body: bytes) -> ParityReport:
        """Compare the concatenated outputs of all sample pictures with `expected`.

        Raises:
            RequestError: see `read_outputs`.
        """
        size = self.output_bytes
        if len(body) != size * len(self.inputs):
            raise RequestError(f"{len(body)} bytes, {size * len(self.inputs)} were expected")
        outputs = [
            self.read_outputs(memoryview(body)[size * index : size * (index + 1)])
            for index in range(len(self.inputs))
        ]
        precision = str(self.artifact.manifest["precision"])
        return compare(
            RecordedSession(self.expected),
            RecordedSession(outputs),
            self.inputs,
            self.artifact.spec,
            TOLERANCES.get(precision, _INT8_TOLERANCE),
        )

    def show_prediction(self, picture: Picture, outputs: Outputs) -> dict[str, Any]:
        """The prediction in the form that the page shows: a picture, or rows of classes."""
        prediction = self.artifact.decode(outputs, (picture.shape[0], picture.shape[1]))
        if prediction is None:  # a bare backbone
            return {"picture": None, "rows": []}
        if isinstance(prediction, ClassPrediction):
            rows = [[name, f"{probability:.1%}"] for name, probability in prediction.best()]
            return {"picture": None, "rows": rows}
        data = base64.b64encode(_encode_png(prediction.overlay(picture))).decode()
        return {"picture": f"data:image/png;base64,{data}", "rows": []}


def prepare_artifact(
    path: Path, pictures: Sequence[SamplePicture], reference: Session | None = None
) -> ServedArtifact:
    """Open an artifact and compute the expected outputs of the sample pictures.

    Args:
        path: an ONNX artifact.
        pictures: the sample pictures.
        reference: computes the expected outputs; by default the file in ONNX Runtime.

    Raises:
        UserError: not an artifact, or not one that a browser can run.
    """
    artifact = open_artifact(path)
    if artifact.target != "onnx":
        raise UserError(
            f"{path.name} is for {artifact.target}, but browsers run ONNX files here; export one "
            "with lvt-export onnx"
        )
    for file in _model_files(artifact).values():
        if not file.is_file():
            raise UserError(f"{path.name} has no file {file.name}; export it again")
    name = "the PyTorch reference"
    if reference is None:
        name = load_target(artifact.target).runtime_name()
        reference = artifact.open_session()
    inputs = tuple(artifact.preprocessing(sample.picture) for sample in pictures)
    expected = tuple(reference.run(image) for image in inputs)
    return ServedArtifact(artifact, inputs, expected, name)


def _model_files(artifact: Artifact) -> dict[str | None, Path]:
    if artifact.host is None:
        return {None: artifact.path}
    return {part: part_path(artifact.path, part) for part in PARTS}


def read_picture(body: bytes) -> Picture:
    """Decode a picture file that a browser sent, and rotate it upright.

    Raises:
        RequestError: it is not a picture, or too large.
    """
    try:
        return decode(io.BytesIO(body), ("JPEG", "PNG"), _MAX_PIXELS)
    except PictureError as error:
        raise RequestError(f"not a usable JPEG or PNG picture: {error}") from error


def _encode_png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
