"""Times several sessions in interleaved rounds, so that background load affects all of them."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from device_bench.measure.config import BenchConfig, BenchProgress
from device_bench.measure.sensors import HOST_SENSORS, SensorReading, Sensors
from device_bench.measure.statistics import (
    Interval,
    LatencySamples,
    LatencySummary,
    record_samples,
    speedup,
    summarise,
)
from device_bench.measure.validity import validity_issues
from device_bench.measure.warmup import WarmUp, warm_up
from export.panoptic.parts.session import PartsSession
from export.panoptic.parts.stages import StageTimes
from export.session import Session

_SECONDS_BETWEEN_READINGS = 1.0
"""Interval of the frequency and temperature readings."""


@dataclass(frozen=True)
class TimedSession:
    """A session and its input, ready to be timed.

    Attributes:
        label: name in progress and tables.
        image: (1, 3, H, W), preprocessed; every inference uses it.
    """

    label: str
    session: Session
    image: NDArray[np.float32]

    @property
    def stages(self) -> StageTimes | None:
        """Of the last inference of a model in parts; None for a whole model."""
        return self.session.stages if isinstance(self.session, PartsSession) else None

    def run_once(self) -> float:
        """Run one inference and return its duration in seconds."""
        start = time.perf_counter()
        self.session.run(self.image)
        return time.perf_counter() - start


@dataclass(frozen=True, eq=False)
class SessionTiming:
    """Steady-state latency of one session.

    Attributes:
        warmup: the untimed inferences before.
        samples_ms: timed inferences in order.
        latency: summary of the samples.
        speedup: over the first session of the run; None for that one.
        joules: energy of the processor packages per inference; None: unknown.
        readings: frequency and temperature during the run; empty: unknown.
        validity_issues: reasons why the timing is not valid; empty if it is.
        stages: of each timed inference of a model in parts; empty for a whole model.
    """

    warmup: WarmUp
    samples_ms: LatencySamples
    latency: LatencySummary
    speedup: Interval | None
    joules: float | None
    readings: tuple[SensorReading, ...]
    validity_issues: tuple[str, ...]
    stages: tuple[StageTimes, ...] = ()


def time_interleaved(
    sessions: list[TimedSession],
    config: BenchConfig,
    progress: BenchProgress,
    *,
    load_before: float,
    sensors: Sensors = HOST_SENSORS,
) -> list[SessionTiming]:
    """Warm all sessions up, then time them in rounds of one inference each.

    Args:
        sessions: at least one; each must use `config.threads` threads.
        config: number of rounds and validity rules.
        progress: called with the current step.
        load_before: the machine's one-minute load average before the benchmark began.
        sensors: of the machine that runs the sessions.
    """
    warmups = []
    for session in sessions:
        progress(f"warming up {session.label}", 0.0)
        warmups.append(warm_up(session.run_once))
    rounds = _run_rounds(sessions, config, progress, sensors)
    issues = partial(
        validity_issues,
        preset=config.preset,
        load_before=load_before,
        busy_threads=config.threads,
        cores=os.cpu_count() or 1,
    )
    return [
        SessionTiming(
            warmup=warmup,
            samples_ms=samples,
            latency=summarise(samples),
            speedup=speedup(rounds.samples[0], samples) if index else None,
            joules=rounds.joules[index],
            readings=rounds.readings,
            validity_issues=tuple(issues(samples, warmup=warmup)),
            stages=tuple(rounds.stages[index]),
        )
        for index, (warmup, samples) in enumerate(zip(warmups, rounds.samples, strict=True))
    ]


@dataclass(frozen=True)
class _Rounds:
    """Measurements of the timed rounds: samples, joules per inference and stages by session."""

    samples: list[LatencySamples]
    joules: list[float | None]
    readings: tuple[SensorReading, ...]
    stages: list[list[StageTimes]]


def _run_rounds(
    sessions: list[TimedSession], config: BenchConfig, progress: BenchProgress, sensors: Sensors
) -> _Rounds:
    samples_ms: list[list[float]] = [[] for _ in sessions]
    seconds = [0.0] * len(sessions)
    joules: list[float | None] = [0.0] * len(sessions)
    readings: list[SensorReading | None] = []
    stages: list[list[StageTimes]] = [[] for _ in sessions]
    meter = sensors.energy_meter()
    last_reading = -math.inf
    done = 0
    while done < config.min_runs or min(seconds) < config.min_seconds:
        if time.perf_counter() - last_reading >= _SECONDS_BETWEEN_READINGS:
            readings.append(sensors.read(done))
            last_reading = time.perf_counter()
        order = range(len(sessions))
        # Alternate the order, so that no session always runs after the same other one.
        for index in order if done % 2 == 0 else reversed(order):
            meter.lap()
            elapsed = sessions[index].run_once()
            joules[index] = _add_energy(joules[index], meter.lap())
            samples_ms[index].append(elapsed * 1e3)
            seconds[index] += elapsed
            last_stages = sessions[index].stages
            if last_stages is not None:
                stages[index].append(last_stages)
        done += 1
        progress(f"timing, {done} rounds", _completed_share(done, min(seconds), config))
    readings.append(sensors.read(done))
    return _Rounds(
        samples=[record_samples(values) for values in samples_ms],
        joules=[None if total is None else total / done for total in joules],
        readings=tuple(reading for reading in readings if reading is not None),
        stages=stages,
    )


def _completed_share(runs: int, seconds: float, config: BenchConfig) -> float:
    by_runs = runs / config.min_runs if config.min_runs else 1.0
    by_seconds = seconds / config.min_seconds if config.min_seconds else 1.0
    return min(by_runs, by_seconds, 1.0)


def _add_energy(total: float | None, lap: float | None) -> float | None:
    """The sum; None as soon as one lap is unknown."""
    return None if total is None or lap is None else total + lap
