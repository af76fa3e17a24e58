"""Writes the golden vectors: `make golden`, or `python -m tests.golden.make [FOLDER]`.

They tie two implementations of the same arithmetic. `tests/android/test_golden.py` fails when
Python no longer computes them, the tests in `android_demo/core` when Kotlin does not. Pictures are
generated scenes and a packaged photo. Tensors are little-endian float32 files, row by row; maps are
PNGs whose colours are ids (red + 256 green + 65536 blue).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from device_bench.measure.statistics import summarise
from export.artifact.files import SCHEMA, content_sha256, write_manifest
from export.entry_point import TensorInfo
from export.panoptic.parts.host import HostSteps
from export.panoptic.parts.layout import HostConstants
from export.panoptic.session import PanopticReferenceSession
from export.plan import ExportRequest, load_reference
from lvt.data.images import packaged_photos, read_image
from lvt.data.labels import Labels
from lvt.data.preprocessing import Preprocessing, fixed_size
from lvt.data.preprocessing_steps import AlignUp, CenterCrop, FitWithin, PadUp
from lvt.data.resize import FILTERS, resize_uint8
from lvt.demo import DEMO_BACKBONE, DEMO_PANOPTIC, DEMO_SIZE
from lvt.demo.scenes import CLASSES, PALETTE, make_scene
from lvt.models import ModelSpec
from lvt.panoptic.config import (
    DetectionConfig,
    FusionConfig,
    PanopticConfig,
    ProposalConfig,
    RoIConfig,
)
from lvt.panoptic.fusion import PanopticMap
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.paste import paste_mask
from lvt.panoptic.postprocess import panoptic_map
from lvt.postprocessing import label_map, ranked_classes

FOLDER = Path(__file__).parent
SCENE, PHOTO, DEMO = "scene.png", "photo.png", "demo.png"
FIGURES = ("runs", "median", "mean", "minimum", "p90", "p99", "per_second")

Pictures = dict[str, NDArray[np.uint8]]


def make(folder: Path) -> None:
    """Writes every golden file into `folder`."""
    pictures = {
        SCENE: make_scene(3, (128, 160)).image,
        PHOTO: read_image(packaged_photos()[1])[40:168, 110:270],
        DEMO: make_scene(11, (200, 300)).image,  # needs resizing and padding for the model
    }
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / name)
    for subject in (_resize, _preprocessing, _ranking, _semantic, _paste, _panoptic, _parts, _demo):
        _write(folder, subject, pictures)
    samples = np.random.default_rng(5).gamma(8.0, 4.0, 37)
    _save(folder / "statistics.json", {"samples_ms": samples.tolist(), "summary": figures(samples)})
    _artifact(folder)


def figures(samples_ms: NDArray[np.float64]) -> dict[str, float]:
    """What the core tells of samples: figures as `lvt-bench` has them, without intervals."""
    told = summarise(samples_ms).to_dict()
    chosen = {name: told[name] for name in FIGURES}
    return {name: v["value"] if isinstance(v, dict) else v for name, v in chosen.items()}


def _write(
    folder: Path, subject: Callable[[Path, Pictures], list[dict[str, Any]]], pictures: Pictures
) -> None:
    name = subject.__name__.removeprefix("_")
    _save(folder / f"{name}.json", subject(folder, pictures))


def _save(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def _tensor(folder: Path, name: str, values: NDArray[Any]) -> dict[str, Any]:
    """Writes an array; how cases name it."""
    (folder / f"{name}.f32").write_bytes(values.astype("<f4").tobytes())
    return {"file": f"{name}.f32", "shape": list(values.shape)}


def _map(folder: Path, name: str, ids: NDArray[np.integer]) -> str:
    colours = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
    Image.fromarray(colours).save(folder / f"{name}.png")
    return f"{name}.png"


def _resize(folder: Path, pictures: Pictures) -> list[dict[str, Any]]:
    """Every filter at sizes up and down, extreme, and along one axis alone: hashes of the bytes.

    The sizes that keep the ratio are those that the transforms of `lvt-export` ask Pillow for.
    """
    generator = np.random.default_rng(1)
    free = [*generator.integers(1, 300, (14, 2)).tolist(), [1, 1], [128, 77], [301, 160], [3, 500]]
    kept = [[side, side * 160 // 128] for side in (1, 2, 17, 63, 64, 90, 127, 129, 200, 233, 256)]
    sizes = {method: free if method == "opencv_bilinear" else free + kept for method in FILTERS}
    return [
        {
            "picture": name,
            "filter": method,
            "size": size,
            "sha256": hashlib.sha256(
                resize_uint8(pictures[name], (size[0], size[1]), method).tobytes()
            ).hexdigest(),
        }
        for name in (SCENE, PHOTO)
        for method in FILTERS
        for size in sizes[method]
    ]


def _preprocessing(folder: Path, pictures: Pictures) -> list[dict[str, Any]]:
    """Each task's transform, and one of the steps that they leave out."""
    normalise = fixed_size("semantic", (9, 9)).steps[1]
    rest = (
        FitWithin(90, 70, "opencv_bilinear"),
        AlignUp(8, "pillow_bilinear"),
        CenterCrop((31, 34)),
        normalise,
        PadUp(32),
    )
    specs = {
        "classification": fixed_size("classification", (48, 48)),
        "semantic": fixed_size("semantic", (48, 64)),
        "panoptic": fixed_size("panoptic", (64, 64)),
        "rest": Preprocessing(rest),
    }
    return [
        {
            "name": name,
            "picture": PHOTO,
            "specification": spec.to_dict(),
            "content": None
            if name in ("classification", "rest")
            else spec.content_size((128, 160)),
            "tensor": _tensor(folder, f"preprocessing_{name}", spec(pictures[PHOTO])),
        }
        for name, spec in specs.items()
    ]


def _ranking(folder: Path, pictures: Pictures) -> list[dict[str, Any]]:
    """Logits with ties, and far from zero."""
    logits = np.random.default_rng(2).normal(0, 3, (2, 1, 40)).astype(np.float32)
    logits[0, 0, [7, 19, 30]] = logits[0].max()
    logits[1] += 500
    return [
        {
            "logits": row[0].tolist(),
            "indices": [score.index for score in ranked_classes(row)],
            "probabilities": [score.probability for score in ranked_classes(row)],
        }
        for row in logits
    ]


_GEOMETRIES = {
    "same": ((48, 64), (48, 64), (48, 64)),
    "padded": ((48, 64), (41, 64), (77, 121)),
    "odd": ((45, 63), (45, 63), (30, 200)),
}
"""Sizes of the network's input, of the picture in it, and of the picture."""


def _semantic(folder: Path, pictures: Pictures) -> list[dict[str, Any]]:
    generator = np.random.default_rng(3)
    cases = []
    for name, (network, content, original) in _GEOMETRIES.items():
        logits = _smooth(generator, 6, network)
        labels = label_map(logits, network, original, content)
        cases.append(
            {
                "logits": _tensor(folder, f"semantic_{name}", logits),
                "network": network,
                "content": content,
                "original": original,
                "labels": _map(folder, f"semantic_{name}", labels),
            }
        )
    return cases


def _smooth(
    generator: np.random.Generator, channels: int, network: tuple[int, int]
) -> NDArray[Any]:
    """Logits (1, channels, h, w) at a quarter of the network's size, without too many borders."""
    height, width = -(-network[0] // 4), -(-network[1] // 4)
    coarse = generator.normal(0, 4, (1, channels, -(-height // 4), -(-width // 4)))
    fine = np.kron(coarse, np.ones((4, 4)))[..., :height, :width]
    noise = generator.normal(0, 1, (1, channels, height, width))
    return (fine + noise).astype(np.float32)


def _discs(generator: np.random.Generator, count: int, cells: int) -> NDArray[np.float32]:
    """Mask probabilities (count, cells, cells) of discs with soft borders."""
    position = (np.arange(cells) + 0.5) / cells
    centre = generator.uniform(0.3, 0.7, (count, 2))
    down = (position[None] - centre[:, :1]) ** 2
    right = (position[None] - centre[:, 1:]) ** 2
    return np.clip(1.2 - 5 * (down[:, :, None] + right[:, None]), 0, 1).astype(np.float32)


def _paste(folder: Path, pictures: Pictures) -> list[dict[str, Any]]:
    """Boxes inside, across the border, of a fraction of a pixel, and without width or height."""
    mask = _discs(np.random.default_rng(4), 1, 14)[0]
    boxes = {
        "inside": [2.25, 3.5, 20.75, 15.125],
        "across": [-9.5, 8.25, 11.0, 40.5],
        "tiny": [5.125, 5.25, 5.375, 5.5],
        "no_width": [7.5, 2.0, 7.5, 12.0],
        "no_height": [4.0, 9.25, 16.0, 9.25],
        "away": [100.0, 100.0, 120.0, 130.0],
    }
    size = (20, 24)
    return [
        {
            "mask": _tensor(folder, "paste_mask", mask),
            "box": box,
            "size": size,
            "probabilities": _tensor(
                folder, f"paste_{name}", paste_mask(mask, np.array(box, np.float32), size)
            ),
        }
        for name, box in boxes.items()
    ]


_SLOTS = (
    # box in network pixels 48 x 64, score, label
    ((4.5, 3.0, 30.25, 28.0), 0.9, 0),
    ((5.0, 3.5, 30.0, 28.5), 0.8, 1),  # hidden by the first: dropped
    ((20.0, 10.0, 50.5, 44.0), 0.7, 2),  # partly hidden: kept
    ((52.0, 30.0, 75.0, 60.0), 0.7, 1),  # leaves the image; ties with the one before
    ((60.125, 2.0, 60.25, 2.125), 0.65, 0),  # smaller than a pixel: no pixels, dropped
    ((40.0, 2.0, 58.0, 9.0), 0.95, 2),  # best, though not first
    ((0.0, 0.0, 0.0, 0.0), 0.0, 0),  # empty slots
    ((0.0, 0.0, 0.0, 0.0), 0.0, 0),
)


def _panoptic(folder: Path, pictures: Pictures) -> list[dict[str, Any]]:
    generator = np.random.default_rng(6)
    config = PanopticConfig(things=3, stuff=4, fusion=FusionConfig(0.5, 0.5, min_stuff_area=400))
    cases = []
    for name, (network, content, original) in _GEOMETRIES.items():
        outputs = {
            "boxes": np.array([slot[0] for slot in _SLOTS], np.float32),
            "scores": np.array([slot[1] for slot in _SLOTS], np.float32),
            "labels": np.array([slot[2] for slot in _SLOTS], np.int32),
            "masks": _discs(generator, len(_SLOTS), 14),
            "semantic": _smooth(generator, config.stuff + 1, network),
        }
        answer = panoptic_map(outputs, config, network, content, original)
        cases.append(
            {
                "config": config.to_dict(),
                "network": network,
                "content": content,
                "original": original,
                "outputs": {
                    key: _tensor(folder, f"panoptic_{name}_{key}", value)
                    for key, value in outputs.items()
                },
                **_panoptic_answer(folder, f"panoptic_{name}", answer),
            }
        )
    return cases


_PARTS_IMAGE = (77, 109)
"""No level of the pyramid has whole cells."""

_PARTS_BOXES = (
    # in network pixels
    (0.0, 0.0, 109.0, 77.0),  # the whole image
    (98.5, 70.25, 109.0, 77.0),  # in a corner, whose cells are not whole
    (3.5, 40.0, 106.25, 42.5),  # elongated: many samples along one axis of the finest level
    (50.0, 0.0, 51.5, 77.0),
    (20.0, 30.0, 20.0, 60.0),  # empty
    (33.25, 12.5, 33.5, 12.75),  # within a cell
    (10.0, 10.0, 26.0, 26.0),  # sides that are exactly the limit of a level
    (10.0, 10.0, 42.0, 42.0),
)


def _parts(folder: Path, pictures: Pictures) -> list[dict[str, Any]]:
    """The steps between the entry points of a panoptic model in parts, for made-up maps."""
    generator = np.random.default_rng(7)
    config = PanopticConfig(
        things=3,
        stuff=2,
        channels=5,
        semantic_channels=4,
        semantic_groups=2,
        proposals=ProposalConfig(per_level=90, count=40),
        roi=RoIConfig(box_size=3, mask_size=4, finest_scale=8.0),
        detection=DetectionConfig(count=12),
    )
    constants = replace(HostConstants.for_model(config, _PARTS_IMAGE), box_batch=11, mask_batch=4)
    steps = HostSteps(constants)
    core = _parts_maps(generator, constants)
    proposals = steps.proposals(core)
    scores, deltas = _parts_scores(generator, len(proposals), constants.things)
    detections = steps.detections(proposals, scores, deltas)
    boxes = np.concatenate([np.array(_PARTS_BOXES, np.float32), proposals[:6]])
    arrays = {
        **core,
        "proposals": proposals,
        "scores": scores,
        "deltas": deltas,
        "boxes": boxes,
        "box_features": steps.features(core, boxes, constants.box_size),
        "mask_features": steps.features(core, boxes, constants.mask_size),
        "detected_boxes": detections.boxes,
        "detected_scores": detections.scores,
    }
    tensors = {name: _tensor(folder, f"parts_{name}", value) for name, value in arrays.items()}
    labels = detections.labels.tolist()
    return [{"host": constants.to_dict(), "tensors": tensors, "labels": labels}]


def _parts_maps(
    generator: np.random.Generator, constants: HostConstants
) -> dict[str, NDArray[np.float32]]:
    """Outputs of `core`: logits with many ties, also between levels."""
    maps: dict[str, Any] = {}
    for index, level in enumerate(constants.levels):
        ratios = len(level.anchors)
        maps[f"objectness_{level.name}"] = generator.normal(0, 2, (1, *level.cells, ratios)).round()
        maps[f"deltas_{level.name}"] = generator.normal(0, 0.4, (1, *level.cells, 4 * ratios))
        if index < constants.feature_levels:
            maps[level.name] = generator.normal(0, 1, (1, *level.cells, constants.channels))
    return {name: values.astype(np.float32) for name, values in maps.items()}


def _parts_scores(
    generator: np.random.Generator, boxes: int, things: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Outputs of `boxes`: every seventh box has two classes above the threshold, with equal scores.

    Probabilities do not add up to 1, which nothing checks.
    """
    scores = generator.integers(0, 8, (boxes, things + 1)).astype(np.float32) / np.float32(10)
    scores[::7, :2] = np.float32(0.9)
    deltas = generator.normal(0, 1, (boxes, 4 * things)).astype(np.float32)
    return scores, deltas


def _panoptic_answer(folder: Path, name: str, answer: PanopticMap) -> dict[str, Any]:
    segments = [
        {"id": s.id, "label": s.label, "area": s.area, "detection": s.detection}
        for s in answer.segments
    ]
    return {"ids": _map(folder, name, answer.ids), "void": answer.void, "segments": segments}


def _demo(folder: Path, pictures: Pictures) -> list[dict[str, Any]]:
    """What the demonstration model, as PyTorch runs it, says of a scene it has not seen."""
    model = load_reference(ExportRequest("onnx", checkpoint=Path("demo"))).model
    assert isinstance(model, LVTPanoptic)
    session = PanopticReferenceSession(model, DEMO_PANOPTIC)
    preprocessing = fixed_size("panoptic", DEMO_SIZE)
    original = (200, 300)
    outputs = session.run(preprocessing(pictures[DEMO]))
    content = preprocessing.content_size(original)
    answer = panoptic_map(outputs, DEMO_PANOPTIC, DEMO_SIZE, content, original)
    return [{"picture": DEMO, **_panoptic_answer(folder, "demo_ids", answer)}]


def _artifact(folder: Path) -> None:
    """A manifest beside a file that stands for a model; no runtime will take it."""
    file = folder / "stub.onnx"
    file.write_bytes(b"stands for a model\n")
    spec = ModelSpec.for_panoptic(DEMO_BACKBONE, DEMO_PANOPTIC)
    image = TensorInfo("image", (1, 3, *DEMO_SIZE), "NCHW", "preprocessed picture")
    shapes = {
        "boxes": ((16, 4), "N4"),
        "scores": ((16,), "N"),
        "labels": ((16,), "N"),
        "masks": ((16, 28, 28), "NHW"),
        "semantic": ((1, 10, 64, 80), "NCHW"),
    }
    manifest = {
        "schema": SCHEMA,
        "task": spec.task,
        "target": "onnx",
        "precision": "fp32",
        "file": {"name": file.name, "bytes": file.stat().st_size, "sha256": content_sha256(file)},
        "model": spec.to_dict(),
        "parameters": 0,  # what stands for a model has none
        "macs": {"reference": 0, "artifact": 0},
        "inputs": [image.to_dict()],
        "outputs": [
            TensorInfo(name, shape, layout, "").to_dict()
            for name, (shape, layout) in shapes.items()
        ],
        "preprocessing": fixed_size("panoptic", DEMO_SIZE).to_dict(),
        "labels": Labels(CLASSES, PALETTE).to_dict(),
        "accuracy": None,
        "source": {"checkpoint": None, "container": "none", "sha256": None, "ema": False},
    }
    write_manifest(folder / "stub.onnx.json", manifest)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
