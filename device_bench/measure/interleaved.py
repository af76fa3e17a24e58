"""Inferences of several sessions in turn, so that a noisy machine is noisy for all alike."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from device_bench.measure.preset import Protocol, complaints
from device_bench.measure.sensors import HOST, Conditions, Sensors
from device_bench.measure.statistics import Interval, Samples, Summary, speedup, summarise
from device_bench.measure.warmup import WarmUp, warm_up
from export.session import Session

Tick = Callable[[str, float], None]
"""Called with what is being done and the share of the timed runs that is done."""

_CONDITIONS_EVERY = 1.0
"""Seconds between looks at frequency and temperature."""


@dataclass(frozen=True)
class TimedSession:
    """A session that is ready to be timed.

    Attributes:
        label: how it is called.
        image: (1, 3, H, W), preprocessed; the same for every inference.
    """

    label: str
    session: Session
    image: NDArray[np.float32]

    def timed(self) -> float:
        """Seconds of one inference."""
        start = time.perf_counter()
        self.session.run(self.image)
        return time.perf_counter() - start


@dataclass(frozen=True, eq=False)
class Timing:
    """Steady-state latency of one entrant.

    Attributes:
        warmup: what was run before, untimed.
        samples_ms: inferences in order.
        ratio: how many times faster than the first entrant; None for the first.
        joules: of the processor's packages, an inference; None where the machine does not tell.
        conditions: the machine during the run; empty where it does not tell.
        reasons: why it is not valid; empty if it is.
    """

    warmup: WarmUp
    samples_ms: Samples
    summary: Summary
    ratio: Interval | None
    joules: float | None
    conditions: tuple[Conditions, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Rounds:
    """What the timed rounds gave: of each entrant a series, and its joules an inference."""

    samples: list[Samples]
    joules: list[float | None]
    conditions: tuple[Conditions, ...]


def time_interleaved(
    entrants: list[TimedSession],
    *,
    threads: int,
    runs: int,
    seconds: float,
    rule: Protocol,
    load_before: float,
    tick: Tick,
    sensors: Sensors = HOST,
) -> list[Timing]:
    """Warms all entrants up, then times them round by round, one inference each per round.

    Args:
        entrants: at least one.
        threads: that every session uses.
        runs: least number of rounds.
        seconds: least time each entrant's inferences take together.
        rule: what validity is judged by.
        load_before: the machine's one-minute load average before the benchmark began.
        tick: told about progress.
        sensors: of the machine that runs them.
    """
    warmups = []
    for entrant in entrants:
        tick(f"warming up {entrant.label}", 0.0)
        warmups.append(warm_up(entrant.timed))
    rounds = _interleave(entrants, runs, seconds, tick, sensors)
    judge = partial(
        complaints,
        rule=rule,
        load_before=load_before,
        busy_threads=threads,
        cores=os.cpu_count() or 1,
    )
    return [
        Timing(
            warmup=warmup,
            samples_ms=series,
            summary=summarise(series),
            ratio=speedup(rounds.samples[0], series) if index else None,
            joules=rounds.joules[index],
            conditions=rounds.conditions,
            reasons=tuple(judge(series, warmup=warmup)),
        )
        for index, (warmup, series) in enumerate(zip(warmups, rounds.samples, strict=True))
    ]


def _interleave(
    entrants: list[TimedSession], runs: int, seconds: float, tick: Tick, sensors: Sensors
) -> _Rounds:
    series: list[list[float]] = [[] for _ in entrants]
    totals = [0.0] * len(entrants)
    joules: list[float | None] = [0.0] * len(entrants)
    meter = sensors.energy()
    conditions: list[Conditions | None] = []
    looked = -math.inf
    done = 0
    while done < runs or min(totals) < seconds:
        if time.perf_counter() - looked >= _CONDITIONS_EVERY:
            conditions.append(sensors.conditions(done))
            looked = time.perf_counter()
        order = range(len(entrants))
        for index in order if done % 2 == 0 else reversed(order):  # no one always runs second
            meter.lap()
            elapsed = entrants[index].timed()
            joules[index] = _plus(joules[index], meter.lap())
            series[index].append(elapsed * 1e3)
            totals[index] += elapsed
        done += 1
        share = min(done / runs if runs else 1.0, min(totals) / seconds if seconds else 1.0)
        tick(f"timing, {done} rounds", min(share, 1.0))
    conditions.append(sensors.conditions(done))
    return _Rounds(
        samples=[np.array(values) for values in series],
        joules=[None if total is None else total / done for total in joules],
        conditions=tuple(entry for entry in conditions if entry is not None),
    )


def _plus(total: float | None, lap: float | None) -> float | None:
    """A sum with a part missing is not known."""
    return None if total is None or lap is None else total + lap
