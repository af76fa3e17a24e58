"""Accuracy of fixed-size preprocessing relative to the official preprocessing, on real photos.

`pytest tests/lvt/test_preprocessing_cost.py -s` prints the table.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lvt.checkpoint import identify, load_model, read_checkpoint
from lvt.data.images import list_images, read_image
from lvt.data.metrics import confusion_matrix, mean_iou
from lvt.data.preprocessing import Preprocessing, fixed_size, official
from lvt.data.preprocessing_steps import FitWithin
from lvt.postprocessing import label_map

MAX_COST = 0.005
"""Half a point of mIoU: more would make the fixed size another model, not a simplification."""


@pytest.mark.slow
def test_fixed_size_costs_less_than_half_a_point(shared: Path, camvid_checkpoint: Path) -> None:
    """The official transform at the checkpoint's scale: short side 352, then up to 32s."""
    checkpoint = read_checkpoint(camvid_checkpoint)
    model = load_model(checkpoint, identify(checkpoint))
    scale = FitWithin(2048, 352, "opencv_bilinear")
    variants = {
        "official": Preprocessing((scale, *official("semantic").steps[1:])),
        "fixed": fixed_size("semantic", (352, 480)),
    }
    folder = shared / "real" / "camvid" / "val"
    matrices = {name: np.zeros((11, 11), np.int64) for name in variants}
    for path in list_images(folder / "images"):
        picture = read_image(path)
        truth = np.asarray(Image.open(folder / "masks" / path.name))
        for name, preprocessing in variants.items():
            image = preprocessing(picture)
            with torch.inference_mode():
                logits = model(torch.from_numpy(image)).numpy()
            labels = label_map(logits, image.shape[2:], picture.shape[:2])
            matrices[name] += confusion_matrix(labels, truth, 11)
    scores = {name: mean_iou(matrix) for name, matrix in matrices.items()}
    print("\n" + "\n".join(f"{name:9}{score:8.2%} mIoU" for name, score in scores.items()))
    assert scores["official"] - scores["fixed"] < MAX_COST
