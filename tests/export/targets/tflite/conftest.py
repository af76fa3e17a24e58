"""Tiny models as .tflite files, converted once, and an environment with an old runtime."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export.capabilities import Precision
from export.model_io import whole_model
from export.rewrite import rewrite
from lvt.data.images import packaged_photos, read_image
from lvt.data.preprocessing import fixed_size
from lvt.models import ModelSpec, build_random
from tests.conftest import TINY, tiny
from tests.helpers.models import conversion
from tests.helpers.old_environments import call, old_python
from tests.helpers.shared_artifacts import SharedArtifacts

SIZE = (64, 96)
METADATA = {"lvt.task": "backbone", "lvt.labels": '["Straße", "空"]'}
OLD_RUNTIME = ("tflite-runtime==2.14.*", "numpy<2")


class TinyFiles(NamedTuple):
    """One model in both precisions.

    Attributes:
        spec: a backbone, the task with several outputs.
        reference: as the paper defines it.
        rewritten: what was converted.
        image: (1, 3, *SIZE).
        fp32: the file.
        fp16: the same with float16 weights.
    """

    spec: ModelSpec
    reference: nn.Module
    rewritten: nn.Module
    image: np.ndarray
    fp32: Path
    fp16: Path


def write_both(
    model: nn.Module, spec: ModelSpec, size: tuple[int, int], folder: Path
) -> tuple[Path, Path]:
    """The float32 and the float16 file from one conversion, which is what takes long."""
    from export.targets.tflite import target as tflite  # optional; the tests themselves skip

    converted = tflite.convert((whole_model(model, spec, size),))
    paths = folder / "fp32.tflite", folder / "fp16.tflite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tflite, "convert", lambda *_: copy.deepcopy(converted))
        for path in paths:
            precision: Precision = "fp16" if path.stem == "fp16" else "fp32"
            tflite.write(conversion(model, spec, size, precision, METADATA), path)
    return paths


@pytest.fixture(scope="session")
def tiny_files(shared_artifacts: SharedArtifacts) -> TinyFiles:
    spec = ModelSpec("backbone", tiny(recursion=1))
    reference = build_random(spec, seed=5)
    rewritten = rewrite(reference, "xnnpack")
    image = fixed_size("semantic", SIZE)(read_image(packaged_photos()[1]))
    fp32, fp16 = shared_artifacts.once(
        "tiny tflite", lambda folder: write_both(rewritten, spec, SIZE, folder)
    )
    return TinyFiles(spec, reference, rewritten, image, fp32, fp16)


class Broken(nn.Module):
    """Two convolutions with a strided slice in between, which XNNPACK does not take.

    The weights are exact in float16; the constant that is added is not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.second = nn.Conv2d(4, 2, 1)
        self.register_buffer("offset", torch.full((1, 4, 1, 1), 1000.3))
        for conv in (self.first, self.second):
            conv.weight.data = (conv.weight.data * 8).round() / 8

    def forward(self, image: Tensor) -> Tensor:
        return self.second(self.first(image)[:, :, ::2] + self.offset)


@pytest.fixture(scope="session")
def broken_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """`Broken` as fp32 and fp16, for images of 8x8."""
    torch.manual_seed(0)
    spec = ModelSpec("semantic", TINY, 2)
    return write_both(Broken().eval(), spec, (8, 8), tmp_path_factory.mktemp("broken"))


RunOld = Callable[[Path, np.ndarray], dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def run_old(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> RunOld:
    """Runs a file on an NCHW image in TensorFlow Lite 2.14, in a process of its own."""
    python = old_python(pytestconfig, "tflite-runtime-2.14", *OLD_RUNTIME)

    def run(model: Path, image: np.ndarray) -> dict[str, np.ndarray]:
        work = tmp_path_factory.mktemp("old")
        np.save(work / "in.npy", np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
        script = Path(__file__).with_name("old_runtime.py")
        call(python, script, model, work / "in.npy", work / "out.npz")
        with np.load(work / "out.npz") as outputs:
            return dict(outputs)

    return run
