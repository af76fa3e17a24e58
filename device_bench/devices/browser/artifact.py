"""What a browser is given to run, and what Python makes of the outputs that come back.

The browser only runs the graph. Preparing pictures, comparing outputs and turning them into an
answer stays here, in the code that every other runtime is held to.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.artifact.reader import Artifact, open_artifact
from export.parity.compare import TOLERANCES, ParityReport, Tolerance, compare
from export.predict.prediction import ClassPrediction
from export.session import Outputs, RecordedSession, Session
from export.targets import load_target
from lvt.data.decoding import PictureError, decode
from lvt.data.images import packaged_photos, read_image
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from quantization.candidate import MIN_SIMULATION_SQNR_DB

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""

_INT8 = Tolerance(relative_error=1.0, sqnr_db=MIN_SIMULATION_SQNR_DB, agreement=0.0, unpaired=1.0)
_MOST_PIXELS = 16_000_000
_DTYPES = {"float32": np.dtype("<f4"), "int32": np.dtype("<i4")}


class RefusedError(Exception):
    """Something a browser sent that cannot be used; the message is for whoever holds the phone."""


@dataclass(frozen=True)
class Sample:
    """A picture that is on offer to every artifact."""

    name: str
    picture: Picture

    @cached_property
    def png(self) -> bytes:
        """As a file."""
        return _encoded(Image.fromarray(self.picture))


def samples() -> tuple[Sample, ...]:
    """Two packaged photos, and two generated scenes, in which the demonstration model finds things.

    The first is the one that `lvt-bench` times with.
    """
    photos = [Sample(path.stem, read_image(path)) for path in packaged_photos()[:2]]
    scenes = [
        Sample(f"scene {seed}", make_scene(seed, DEMO_SIZE).image) for seed in HELD_OUT_SEEDS[:2]
    ]
    return (*photos, *scenes)


@dataclass(frozen=True, eq=False)
class Served:
    """An artifact with the samples' inputs and with what is expected of them.

    Attributes:
        inputs: (1, 3, H, W) of each sample.
        expected: outputs of each sample in `reference`.
        reference: the runtime that `expected` comes from.
    """

    artifact: Artifact
    inputs: tuple[NDArray[np.float32], ...]
    expected: tuple[Outputs, ...]
    reference: str

    def describe(self) -> dict[str, Any]:
        """What the page has to know of it."""
        manifest = self.artifact.manifest
        names = ("name", "shape", "dtype")
        return {
            "name": self.artifact.path.name,
            "task": manifest["task"],
            "precision": manifest["precision"],
            "bytes": manifest["file"]["bytes"],
            "input": {name: manifest["inputs"][0][name] for name in names},
            "outputs": [{name: entry[name] for name in names} for entry in manifest["outputs"]],
        }

    @property
    def output_bytes(self) -> int:
        """Size of the outputs of one picture."""
        return sum(
            math.prod(entry["shape"]) * _DTYPES[entry["dtype"]].itemsize
            for entry in self.artifact.manifest["outputs"]
        )

    def read_outputs(self, body: memoryview) -> Outputs:
        """Outputs of one picture, in the manifest's order, little endian, one after the other.

        Raises:
            RefusedError: too short or long, or with values that are no numbers.
        """
        if len(body) != self.output_bytes:
            raise RefusedError(f"{len(body)} bytes of outputs, {self.output_bytes} were expected")
        outputs: Outputs = {}
        offset = 0
        for entry in self.artifact.manifest["outputs"]:
            count, dtype = math.prod(entry["shape"]), _DTYPES[entry["dtype"]]
            values = np.frombuffer(body, dtype, count, offset)
            if not np.isfinite(values).all():
                raise RefusedError(
                    f"{entry['name']} holds values that are no numbers in this browser"
                )
            outputs[entry["name"]] = values.reshape(entry["shape"]).copy()  # writable
            offset += values.nbytes
        return outputs

    def parity(self, body: bytes) -> ParityReport:
        """The outputs of all samples, one after the other, against `expected`.

        Raises:
            RefusedError: see `read_outputs`.
        """
        size = self.output_bytes
        if len(body) != size * len(self.inputs):
            raise RefusedError(f"{len(body)} bytes, {size * len(self.inputs)} were expected")
        parts = [memoryview(body)[size * i : size * (i + 1)] for i in range(len(self.inputs))]
        found = [self.read_outputs(part) for part in parts]
        precision = str(self.artifact.manifest["precision"])
        return compare(
            RecordedSession(self.expected),
            RecordedSession(found),
            self.inputs,
            self.artifact.spec,
            TOLERANCES.get(precision, _INT8),
        )

    def answer(self, picture: Picture, outputs: Outputs) -> dict[str, Any]:
        """What the outputs say of a picture, to look at: a picture, or the best classes."""
        prediction = self.artifact.decode(outputs, (picture.shape[0], picture.shape[1]))
        if prediction is None:
            return {"picture": None, "rows": []}
        if isinstance(prediction, ClassPrediction):
            rows = [[name, f"{probability:.1%}"] for name, probability in prediction.best()]
            return {"picture": None, "rows": rows}
        data = base64.b64encode(_encoded(prediction.overlay(picture))).decode()
        return {"picture": f"data:image/png;base64,{data}", "rows": []}


def serve_artifact(
    path: Path, pictures: Sequence[Sample], reference: Session | None = None
) -> Served:
    """Opens an artifact and computes what is expected of it on the samples.

    Args:
        path: an ONNX artifact.
        pictures: the samples.
        reference: what the browser is compared with; the file itself in ONNX Runtime by default.

    Raises:
        UserError: no artifact, or not one that a browser can run.
    """
    artifact = open_artifact(path)
    if artifact.target != "onnx":
        raise UserError(
            f"{path.name} is {artifact.target}: browsers run ONNX files here; export one with "
            "lvt-export onnx"
        )
    name = "the PyTorch reference"
    if reference is None:
        target = load_target(artifact.target)
        reference, name = target.open_session(path), target.runtime_name()
    inputs = tuple(artifact.preprocessing(sample.picture) for sample in pictures)
    expected = tuple(reference.run(image) for image in inputs)
    return Served(artifact, inputs, expected, name)


def read_picture(body: bytes) -> Picture:
    """A picture file that a browser sent, upright.

    Raises:
        RefusedError: it is none, or too large.
    """
    try:
        return decode(io.BytesIO(body), ("JPEG", "PNG"), _MOST_PIXELS)
    except PictureError as error:
        raise RefusedError(f"this is no JPEG or PNG picture to work with: {error}") from error


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
