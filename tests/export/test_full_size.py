"""Trained models at full size on every target: what the documentation promises.

The suites of `benchmarks` measure the same on more pictures.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from export.artifact.reader import open_artifact
from export.capabilities import TARGETS, Precision, installed
from export.evaluation.evaluate import evaluate
from export.evaluation.labelled_data import HeldOutScenes
from export.pipeline import export_artifact
from export.plan import ExportRequest
from export.predict.predictor import reference_predictor
from lvt.data.images import packaged_photos
from tests.helpers.shared_artifacts import SharedArtifacts

pytestmark = pytest.mark.slow

CELLS: list[tuple[str, Precision]] = [
    (info.name, precision)
    for info in TARGETS.values()
    if info.in_all and info.name != "onnx"  # which is tested on its own
    for precision in info.precisions.get("panoptic", ())
]
LEAST_SQNR = {"fp32": 90.0, "fp16": 45.0}
"""Promised for every task and target."""
PARTITIONS = {"executorch": 11, "tflite": 6}
"""Of the panoptic graph: top-k, gathers and the best class's argument stand between."""
OUTSIDE = {
    "executorch": {"topk", "embedding", "max", "select_copy", "cat", "mm", "_to_dim_order_copy"},
    "tflite": {"TOPK_V2", "EMBEDDING_LOOKUP", "ARG_MAX", "CAST"},
}
SCENES = 50
PQ_MARGIN = 0.3
"""Promised; a detection of fifty scenes that is lost or gained costs about 0.2."""
STREET_PHOTOS = 12


def need(target: str) -> None:
    if not installed(TARGETS[target]):
        pytest.skip(f"needs lvt-mobile[{','.join(TARGETS[target].extras)}]")


@pytest.mark.parametrize(("target", "precision"), CELLS)
def test_camvid(
    target: str, precision: Precision, camvid_checkpoint: Path, shared: Path, tmp_path: Path
) -> None:
    """Street photos, trained weights: labels as the reference's, everything on the fast path."""
    need(target)
    images = tmp_path / "images"
    images.mkdir()
    photos = sorted((shared / "real" / "camvid" / "val" / "images").iterdir())
    for photo in photos[:: len(photos) // STREET_PHOTOS][:STREET_PHOTOS]:
        shutil.copy(photo, images)
    request = ExportRequest(
        target,
        tmp_path / "out",
        camvid_checkpoint,
        precision=precision,
        images=images,
        strict=(target, precision) != ("coreml", "fp32"),  # the engine computes in float16
    )
    result = export_artifact(request)
    assert result.parity.images == len(packaged_photos()) + STREET_PHOTOS
    assert result.parity.outputs[0].sqnr_db >= LEAST_SQNR[precision]
    assert result.parity.agreement is not None
    assert result.parity.agreement >= (0.999 if precision == "fp32" else 0.995)
    assert result.placement.partitions in (None, 1)
    assert result.placement.remarks == ()


@pytest.fixture
def reference_pq(shared_artifacts: SharedArtifacts) -> float:
    def quality(_folder: Path) -> float:
        predictor = reference_predictor(Path("demo"))
        return evaluate(predictor, HeldOutScenes(SCENES, predictor.labels.names)).figures["PQ"]

    return shared_artifacts.once("quality of the reference", quality)


@pytest.mark.parametrize(("target", "precision"), CELLS)
def test_demonstration_model(
    target: str, precision: Precision, reference_pq: float, shared_artifacts: SharedArtifacts
) -> None:
    """Top-k, NMS and RoIAlign included: the quality of held-out scenes is the reference's."""
    need(target)
    request = ExportRequest(target, checkpoint="demo", precision=precision)
    result = shared_artifacts.export(request)
    least = min(output.sqnr_db for output in result.parity.outputs)
    assert least >= LEAST_SQNR[precision]
    assert result.parity.detections > 50
    if result.placement.partitions is not None:
        assert result.placement.partitions <= PARTITIONS[target]
        assert set(result.placement.outside) <= OUTSIDE[target]
    predictor = open_artifact(result.path).predictor(threads=1)
    scenes = HeldOutScenes(SCENES, predictor.labels.names)
    assert abs(evaluate(predictor, scenes).figures["PQ"] - reference_pq) <= PQ_MARGIN
