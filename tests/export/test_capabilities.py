"""Every cell of the capability table is exported and run; none is only claimed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from export import capabilities
from export.capabilities import (
    DEFAULT_TARGETS,
    TARGETS,
    Precision,
    TargetInfo,
    installed,
    markdown_table,
    target_info,
)
from export.chips import CHIPS
from export.cli import export as cli
from export.parity.compare import TOLERANCES, compare, tolerance_of
from export.plan import LoadedModel, ResolvedModel
from export.reference import reference_session
from export.rewrite import rewrite
from export.targets import load_target
from lvt.checkpoint import CheckpointMeta
from lvt.config import Task
from lvt.data.images import packaged_photos, read_image
from lvt.data.preprocessing import fixed_size
from lvt.data.preprocessing_steps import Normalise
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random
from tests.conftest import tiny
from tests.export.test_cli import one_line_error, run
from tests.helpers.models import conversion, whole_graph

SPECS: dict[Task, ModelSpec] = {
    "backbone": ModelSpec("backbone", tiny(1)),
    "classification": ModelSpec("classification", tiny(1), 7),
    "semantic": ModelSpec("semantic", tiny(1), 5, decoder_dim=24),
}
"""Panoptic cells are tested on the demonstration model, which has learnt to detect."""
SIZES = {"backbone": (64, 64), "classification": (64, 96), "semantic": (45, 71)}
CELLS: list[tuple[TargetInfo, Task, Precision]] = [
    (info, task, precision)
    for info in TARGETS.values()
    for task in SPECS
    for precision in info.precisions.get(task, ())
]


def need(info: TargetInfo) -> None:
    if not installed(info):
        pytest.skip(f"{info.name} needs lvt-mobile[{','.join(info.extras)}]")


def job_of(spec: ModelSpec, size: tuple[int, int]) -> ResolvedModel:
    preprocessing = fixed_size(spec.task, size)
    loaded = LoadedModel(build_random(spec, seed=2), spec, CheckpointMeta())
    return ResolvedModel(loaded, spec, size, preprocessing, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("info", "task", "precision"), CELLS, ids=lambda v: v.name if isinstance(v, TargetInfo) else v
)
def test_every_cell(info: TargetInfo, task: Task, precision: Precision, tmp_path: Path) -> None:
    """Odd sizes too: the semantic model's sides are no multiples of anything."""
    need(info)
    job, target = job_of(SPECS[task], SIZES[task]), load_target(info.name)
    file = tmp_path / f"model{info.suffix}"
    exported = whole_graph(job, info.recipe, target.roi_align)
    chips = (CHIPS["sm8650"],) if info.compiled else ()
    metadata = {"lvt.task": task}
    target.write(conversion(exported, job.spec, job.size, precision, metadata, chips=chips), file)
    images = [job.preprocessing(read_image(path)) for path in packaged_photos()[:2]]
    report = compare(
        reference_session(job.reference, job.spec),
        target.open_session(file, threads=1),
        images,
        job.spec,
        tolerance_of(precision, info.name),
    )
    assert report.passed, report.failures
    placement = target.placement(file)
    assert placement.count > 50
    slow_at_odd_sizes = task == "semantic" and info.recipe == "neural_engine"
    if precision == "fp16" or info.recipe != "neural_engine":  # the engine computes in float16
        assert placement.fallback == "none" or slow_at_odd_sizes, placement.outside
    if placement.partitions is not None:
        assert placement.partitions == 1
    assert target.versions(file)["torch"]


def test_names_are_their_keys() -> None:
    assert all(name == info.name for name, info in TARGETS.items())
    assert {info.name for info in DEFAULT_TARGETS} == {"onnx", "coreml", "executorch", "tflite"}


def test_what_a_target_does_not_take() -> None:
    with pytest.raises(UserError, match="executorch-coreml does not support panoptic"):
        target_info("executorch-coreml").precision("panoptic", None)
    with pytest.raises(UserError, match="executorch writes semantic models in fp32 only"):
        target_info("executorch").precision("semantic", "fp16")
    assert target_info("coreml").precision("semantic", None) == "fp16"


def test_missing_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before anything is loaded or converted, and with the command that helps."""
    monkeypatch.setattr(capabilities, "installed", lambda info: not info.required_modules)
    assert run(cli.app, "all", "--task", "backbone", "--size", "64", "--out", tmp_path) == 2
    assert "pip install 'lvt-mobile[coreml,executorch,tflite]'" in one_line_error(capfd)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(capabilities, "installed", lambda _info: False)
    with pytest.raises(UserError, match=r"lvt-mobile\[executorch,coreml\]"):
        load_target("executorch-coreml")


@pytest.mark.parametrize("info", TARGETS.values(), ids=lambda info: info.name)
def test_a_file_that_is_something_else(info: TargetInfo, tmp_path: Path) -> None:
    need(info)
    file = tmp_path / f"model{info.suffix}"
    file.write_bytes(b"not a model" * 100)
    with pytest.raises(UserError, match=file.name):
        load_target(info.name).open_session(file)


@pytest.mark.slow
def test_neural_engine_finds_nothing_against_classification_and_semantic(tmp_path: Path) -> None:
    """At the sizes people use. Full-size files are checked in `test_full_size`."""
    info = target_info("coreml")
    need(info)
    target = load_target("coreml")
    for task, size in (("classification", (64, 64)), ("semantic", (64, 96))):
        job = job_of(SPECS[task], size)
        exported = whole_graph(job, info.recipe, target.roi_align)
        file = tmp_path / f"{task}.mlpackage"
        target.write(conversion(exported, job.spec, job.size, "fp16", {}), file)
        placement = target.placement(file)
        assert (placement.fallback, placement.remarks) == ("none", ())


@pytest.mark.slow
def test_core_ml_package_that_takes_pixels(tmp_path: Path) -> None:
    """Its input is an image; its session turns the preprocessed tensor back into the pixels."""
    info = target_info("coreml")
    need(info)
    from export.targets.coreml.loader import load, read_metadata

    target, spec = load_target("coreml"), SPECS["semantic"]
    job = job_of(spec, (64, 96))
    (*_, normalise) = job.preprocessing.steps
    assert isinstance(normalise, Normalise)
    model = rewrite(job.reference, info.recipe)
    file = tmp_path / "pixels.mlpackage"
    target.write(
        conversion(model, spec, job.size, "fp32", {"lvt.task": "semantic"}, normalise), file
    )
    image = job.preprocessing(read_image(packaged_photos()[0]))
    actual = target.open_session(file).run(image)["logits"]
    expected = reference_session(job.reference, spec).run(image)["logits"]
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert list(load(file).inputs) == ["image"]
    assert read_metadata(file)["lvt.task"] == "semantic"


@pytest.mark.skipif(sys.platform != "darwin", reason="Core ML itself runs on a Mac only")
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_evaluator_equals_core_ml(precision: Precision, tmp_path: Path) -> None:
    """What the evaluator says of a file elsewhere is what Core ML makes of it."""
    need(target_info("coreml"))
    from export.targets.coreml.session import CoreMLSession, EvaluatorSession

    job, target = job_of(SPECS["semantic"], (64, 96)), load_target("coreml")
    exported = whole_graph(job, target_info("coreml").recipe, target.roi_align)
    file = tmp_path / "model.mlpackage"
    target.write(conversion(exported, job.spec, job.size, precision, {}), file)
    images = [job.preprocessing(read_image(path)) for path in packaged_photos()[:2]]
    sessions = CoreMLSession(file), EvaluatorSession(file)
    report = compare(*sessions, images, job.spec, TOLERANCES[precision])
    assert report.passed, report.failures


@pytest.mark.slow
def test_executorch_metadata_are_named_constants(tmp_path: Path) -> None:
    info = target_info("executorch")
    need(info)
    from export.targets.executorch.program import read_metadata

    job, target = job_of(SPECS["backbone"], (64, 64)), load_target("executorch")
    exported = whole_graph(job, info.recipe, target.roi_align)
    file = tmp_path / "model.pte"
    target.write(conversion(exported, job.spec, job.size, "fp32", {"lvt.labels": "Straße"}), file)
    found = read_metadata(file)
    assert found["lvt_labels"] == "Straße"
    assert found["lvt_outputs"] == '["stride4", "stride8", "stride16", "stride32"]'


def test_documentation_has_the_table_as_it_is() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert markdown_table() in readme.read_text("utf-8")
    rows = [info.precisions for info in TARGETS.values()]
    assert all(row["backbone"] == row["classification"] == row["semantic"] for row in rows)
