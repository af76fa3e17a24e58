"""Verify: the written file, in its runtime, against the reference on real pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from export.errors import ParityError
from export.parity.compare import ParityReport, compare, tolerance_of
from export.parity.localize import first_deviation
from export.plan import ExportPlan
from export.reference import reference_session
from export.session import Outputs, Session
from export.targets import Target
from lvt.data.images import evenly_spread, list_images, packaged_photos, read_image
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.support.progress import Progress

LazyPicture = Callable[[], NDArray[np.uint8]]
"""Reads or generates a picture (H, W, 3) uint8 RGB when called."""

_PARITY_SCENES = 4

SOFTWARE_PICTURES = 4
"""Number of pictures for a software model of a chip, which takes seconds to minutes for one."""


def parity_pictures(plan: ExportPlan) -> list[LazyPicture]:
    """The packaged photos, the user's pictures, and generated scenes for panoptic models.

    The scenes contain objects that the demonstration model detects. Compiled files are compared on
    `SOFTWARE_PICTURES` only: the user's, spread evenly over the folder; else scenes; else photos.
    """
    own = list_images(plan.images) if plan.images else []
    if plan.target.compiled and own:
        own = evenly_spread(own, SOFTWARE_PICTURES)
    photos: list[LazyPicture] = [partial(read_image, path) for path in packaged_photos()]
    users: list[LazyPicture] = [partial(read_image, path) for path in own]
    scenes: list[LazyPicture] = []
    if plan.model.spec.panoptic is not None:
        scenes = [partial(_scene, seed) for seed in HELD_OUT_SEEDS[:_PARITY_SCENES]]
    if plan.target.compiled:
        return (users or scenes or photos)[:SOFTWARE_PICTURES]
    return photos + users + scenes


def _scene(seed: int) -> NDArray[np.uint8]:
    return make_scene(seed, DEMO_SIZE).image


def verify_parity(
    plan: ExportPlan,
    target: Target,
    module: nn.Module,
    file: Path,
    session: Session,
    pictures: list[LazyPicture],
    progress: Progress,
) -> ParityReport:
    """Compares the written file with the reference.

    Args:
        plan: the artifact.
        target: its format.
        module: what was converted.
        file: the written file.
        session: runs the file.
        pictures: to compare on.
        progress: called with each step.

    Raises:
        ParityError: the difference is larger than the tolerance of the precision.
    """
    model, tolerance = plan.model, tolerance_of(plan.precision, plan.target.name)
    assert tolerance is not None

    def tensors() -> Iterator[NDArray[np.float32]]:
        for picture in pictures:
            yield model.preprocessing(picture())

    parity = compare(
        reference_session(model.reference, model.spec),
        session,
        tensors(),
        model.spec,
        tolerance,
    )
    if parity.passed:
        return parity
    progress(f"{plan.target.name}: looking for the first module that deviates")
    image = model.preprocessing(pictures[parity.worst_image]())

    def file_outputs(names: list[str]) -> Outputs:
        return target.module_outputs(file, image, names)

    # Unrewritten files keep the modules that the target's own rewrites would replace.
    recipe = plan.recipe or plan.target.recipe
    start = first_deviation(model.reference, module, recipe, file_outputs, image, tolerance.sqnr_db)
    where = str(start) if start else "the module where it starts could not be determined"
    hints = [*parity.failures, where]
    if plan.images is None:
        hints.append("compared on bundled pictures only: --images adds pictures like your camera's")
    raise ParityError(f"{plan.target.name}: parity failed: " + "; ".join(hints))
