"""A model in parts behind the session protocol."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from export.panoptic.fill_slots import fill_slots
from export.panoptic.parts.boxes import Floats
from export.panoptic.parts.host import CoreOutputs, Detections, HostSteps, batches
from export.panoptic.parts.layout import HostConstants
from export.panoptic.parts.stages import STAGES, StageTimes
from export.session import EntryPointSession, Outputs
from lvt.models import PANOPTIC_OUTPUTS

Call = tuple[str, dict[str, NDArray[np.float32]]]
"""Name of an entry point and its inputs by name."""

T = TypeVar("T")
Calls = Generator[Call, Outputs, T]
"""Host steps that ask for calls of entry points: a generator that gets the outputs of each."""


class PartsSession:
    """Runs the entry points and the host steps between them, with the outputs of the whole form.

    Attributes:
        stages: of the last run; None before the first.
    """

    def __init__(self, runtime: EntryPointSession, constants: HostConstants):
        self._runtime = runtime
        self._program = PartsProgram(constants)
        self.stages: StageTimes | None = None

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`."""
        outputs, self.stages = make_calls(self._program.run(image), self._runtime)
        return outputs


def make_calls(calls: Calls[T], runtime: EntryPointSession) -> T:
    """Makes the calls that host steps ask for; returns their result."""
    try:
        call = next(calls)
        while True:
            call = calls.send(runtime.call(*call))
    except StopIteration as finished:
        result: T = finished.value
        return result


class PartsProgram:
    """The order of calls and host steps for an image, without a runtime.

    Attributes:
        host: the host steps.
    """

    def __init__(self, constants: HostConstants):
        self.host = HostSteps(constants)

    def run(self, image: NDArray[np.float32]) -> Calls[tuple[Outputs, StageTimes]]:
        """The outputs of the whole form for an image (1, 3, H, W), and where the time went."""
        clock = StageClock()
        with clock.stage("core"):
            core = yield "core", {"image": image}
        with clock.stage("proposals"):
            proposals = self.host.proposals(core)
        detections = yield from self.detect(core, proposals, clock)
        masks = yield from self._masks(core, detections, clock)
        slots = self.host.constants.detections
        filled: list[Any] = [fill_slots(values, slots) for values in (*detections, masks)]
        # Only this array of the runtime's own lives longer than the run.
        semantic = core["semantic"].copy()
        outputs = dict(zip(PANOPTIC_OUTPUTS, (*filled, semantic), strict=True))
        return outputs, StageTimes(clock.milliseconds, len(proposals), len(detections.scores))

    def detect(self, core: CoreOutputs, proposals: Floats, clock: StageClock) -> Calls[Detections]:
        """Detections among the proposals (P, 4)."""
        constants = self.host.constants
        scores = np.empty((len(proposals), constants.things + 1), np.float32)
        deltas = np.empty((len(proposals), 4 * constants.things), np.float32)
        for batch in batches(len(proposals), constants.box_batch):
            with clock.stage("proposals"):
                inputs = self.host.box_inputs(core, proposals[batch])
            with clock.stage("boxes"):
                outputs = yield "boxes", inputs
            count = batch.stop - batch.start
            scores[batch], deltas[batch] = outputs["scores"][:count], outputs["deltas"][:count]
        with clock.stage("detections"):
            return self.host.detections(proposals, scores, deltas)

    def _masks(self, core: CoreOutputs, detections: Detections, clock: StageClock) -> Calls[Floats]:
        """Mask probabilities of each detection for its class, (D, 2S, 2S)."""
        constants = self.host.constants
        count, cells = len(detections.scores), 2 * constants.mask_size
        masks = np.empty((count, cells, cells), np.float32)
        for batch in batches(count, constants.mask_batch):
            with clock.stage("detections"):
                boxes, labels = detections.boxes[batch], detections.labels[batch]
                inputs = self.host.mask_inputs(core, boxes, labels)
            with clock.stage("masks"):
                outputs = yield "masks", inputs
            masks[batch] = outputs["masks"][: batch.stop - batch.start]
        return masks


class StageClock:
    """Adds up the time of each stage.

    Attributes:
        milliseconds: by stage, in order.
    """

    def __init__(self) -> None:
        self.milliseconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the time inside as time of a stage."""
        started = time.perf_counter()
        yield
        self.milliseconds[name] += (time.perf_counter() - started) * 1e3
