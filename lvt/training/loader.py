"""Draws the samples of each training step, in this process or ahead of time in a worker process.

The samples of a step depend only on the seed and the step, so that a run can stop and resume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np

from lvt.config import Size
from lvt.data.datasets.samples import PanopticSample
from lvt.training.augment import crop, flip
from lvt.training.data import SampleSource

_PREFETCHED_STEPS = 6
"""Steps that the worker process may be ahead of the training."""


def draw_samples(
    source: SampleSource, step: int, *, seed: int, count: int, size: Size
) -> list[PanopticSample]:
    """The samples of one step: a random choice, each perhaps mirrored, cropped to `size`."""
    rng = np.random.default_rng((seed, step))
    samples = []
    for index in rng.integers(len(source), size=count).tolist():
        sample = source[index]
        if rng.random() < 0.5:
            sample = flip(sample)
        samples.append(crop(sample, size, rng))
    return samples


@contextmanager
def draw_in_process(
    source: SampleSource,
    steps: range,
    size: Callable[[int], Size],
    *,
    seed: int,
    count: int,
) -> Iterator[Iterator[list[PanopticSample]]]:
    """The same samples as `draw_in_worker`, drawn in this process when a step begins."""
    yield (draw_samples(source, step, seed=seed, count=count, size=size(step)) for step in steps)


@contextmanager
def draw_in_worker(
    source: SampleSource,
    steps: range,
    size: Callable[[int], Size],
    *,
    seed: int,
    count: int,
) -> Iterator[Iterator[list[PanopticSample]]]:
    """The samples of each step, drawn ahead of time by one worker process.

    Args:
        source: samples to choose from.
        steps: consecutive steps.
        size: (height, width) of the crops of a step.
        seed: seed of the random choice.
        count: samples in a step.
    """
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_set_source, initargs=(source,)) as pool:

        def prefetched() -> Iterator[list[PanopticSample]]:
            pending: list[Future[list[PanopticSample]]] = []
            for step in steps:
                for later in range(step + len(pending), min(step + _PREFETCHED_STEPS, steps.stop)):
                    pending.append(
                        pool.submit(
                            _draw_in_worker, later, seed=seed, count=count, size=size(later)
                        )
                    )
                yield pending.pop(0).result()

        try:
            yield prefetched()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_worker_source: list[SampleSource] = []
"""The source, in the worker process: it is sent once, when the process starts."""


def _set_source(source: SampleSource) -> None:
    _worker_source.append(source)


def _draw_in_worker(step: int, *, seed: int, count: int, size: Size) -> list[PanopticSample]:
    return draw_samples(_worker_source[0], step, seed=seed, count=count, size=size)
