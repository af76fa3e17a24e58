"""Pictures for verification."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.artifact.reader import Artifact
from lvt.data.images import evenly_spread, list_images, packaged_photos, read_image
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene

PACKAGED_PHOTOS = "the packaged photos"
"""Name of these pictures in the manifest's acceptance."""

PreparedImage = NDArray[np.float32]
"""(1, 3, H, W), preprocessed."""


def prepared_images(artifact: Artifact, count: int, folder: Path | None) -> list[PreparedImage]:
    """Pictures through the artifact's preprocessing.

    Args:
        artifact: the artifact to verify.
        count: maximum number of pictures.
        folder: of pictures, of which some are taken evenly; None for generated scenes (panoptic)
            or packaged photos.

    Raises:
        UserError: the folder has no pictures.
    """
    if folder is not None:
        pictures = [read_image(path) for path in evenly_spread(list_images(folder), count)]
    elif artifact.spec.task == "panoptic":
        pictures = [make_scene(seed, DEMO_SIZE).image for seed in HELD_OUT_SEEDS[:count]]
    else:
        pictures = [read_image(path) for path in packaged_photos()[:count]]
    return [artifact.preprocessing(picture) for picture in pictures]
