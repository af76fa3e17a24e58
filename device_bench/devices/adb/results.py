"""Converts runs on devices to results, and adds them to a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from device_bench.devices.adb.device_info import DeviceInfo
from device_bench.devices.adb.monitor import sensor_readings
from device_bench.devices.adb.run_types import TimedRun
from device_bench.devices.adb.runner import DeviceRun
from device_bench.devices.adb.tool_output import ToolOutput
from device_bench.measure.statistics import LatencySamples, latency_ratio, summarise
from device_bench.results.accuracy import known_accuracy
from device_bench.results.bench_report import BenchReport
from device_bench.results.bench_result import Accuracy, BenchResult, ColdStart, ModelFile
from device_bench.results.tool_result import ToolResult


def add_device_runs(report: BenchReport, runs: Sequence[DeviceRun]) -> BenchReport:
    """Add runs on devices to the results of this machine.

    The speed-up of a device is over the first result of the report. The runs were not interleaved,
    and the interval accounts for that.
    """
    devices = list(dict.fromkeys(run.device for run in runs))
    if not devices:
        return report
    environment = dict(report.run.environment) | {"devices": _processors(devices)}
    return replace(
        report,
        run=replace(
            report.run, environment=environment if report.results else _environment(devices)
        ),
        results=(*report.results, *_bench_results(runs, report.results)),
        tools=(*report.tools, *_tool_results(runs)),
    )


def device_names(runs: Sequence[DeviceRun]) -> dict[str, str]:
    """Name of each device by serial number: its model, and the number if models are equal."""
    devices = list(dict.fromkeys(run.device for run in runs))
    models = [device.model for device in devices]
    return {
        device.serial: device.model
        if models.count(device.model) == 1
        else f"{device.model} {device.serial}"
        for device in devices
    }


def _bench_results(
    runs: Sequence[DeviceRun], host_results: Sequence[BenchResult]
) -> list[BenchResult]:
    timed = [(run, run.output) for run in runs if isinstance(run.output, TimedRun)]
    names = device_names(runs)
    accuracies = known_accuracy([run.artifact.manifest for run, _ in timed])
    baseline = host_results[0].samples_ms if host_results else None
    results: list[BenchResult] = []
    for (run, output), accuracy in zip(timed, accuracies, strict=True):
        results.append(_bench_result(run, output, names[run.device.serial], accuracy, baseline))
        if baseline is None:
            baseline = output.samples_ms
    return results


def _bench_result(
    run: DeviceRun,
    output: TimedRun,
    device_name: str,
    accuracy: Accuracy | None,
    baseline: LatencySamples | None,
) -> BenchResult:
    """Convert a run; `baseline` are the samples of the report's first result, None if this is it.

    Memory, pre- and post-processing are not measured on devices.
    """
    backend = f"{run.runtime} on {device_name}"
    samples = output.samples_ms
    return BenchResult(
        label=f"{run.artifact.path.name}, {backend}",
        backend=backend,
        model=ModelFile.from_manifest(run.artifact.path, run.artifact.manifest),
        cold_start=ColdStart(output.load_ms, output.first_ms),
        warmup=output.warmup,
        samples_ms=samples,
        latency=summarise(samples),
        validity_issues=run.validity_issues,
        speedup=None if baseline is None else latency_ratio(samples, baseline),
        accuracy=accuracy,
        joules=None if run.energy is None else run.energy.millijoules / 1e3,
        readings=tuple(sensor_readings(run.readings, samples)),
        stages=output.stages,
        placement=output.placement,
        device=_device_dict(run, output.version, output.accelerator),
    )


def _tool_results(runs: Sequence[DeviceRun]) -> list[ToolResult]:
    names = device_names(runs)
    return [
        _tool_result(run, run.output, names[run.device.serial])
        for run in runs
        if isinstance(run.output, ToolOutput)
    ]


def _tool_result(run: DeviceRun, output: ToolOutput, device_name: str) -> ToolResult:
    return ToolResult(
        path=str(run.artifact.path),
        backend=f"{run.runtime} on {device_name}",
        sha256=run.artifact.manifest["file"]["sha256"],
        tool=run.runner,
        runs=output.runs,
        load_ms=output.load_ms,
        first_ms=output.first_ms,
        statistics_ms=output.statistics_ms,
        validity_issues=run.validity_issues,
        device=_device_dict(run, version=None, accelerator=None),
    )


def _device_dict(run: DeviceRun, version: str | None, accelerator: str | None) -> dict[str, Any]:
    """Description of the device and of its state during the run."""
    return {
        **run.device.to_dict(),
        "runner": run.runner,
        "runtime_version": version,
        "accelerator": accelerator,
        "cool_down_seconds": round(run.cooled.seconds, 1),
        "before": asdict(run.cooled.state),
        "after": asdict(run.after),
        "readings": [asdict(reading) for reading in run.readings],
        "energy": None if run.energy is None else asdict(run.energy),
    }


def _environment(devices: Sequence[DeviceInfo]) -> dict[str, Any]:
    """The environment of a report without results of this machine."""
    return {
        "processor": _processors(devices),
        "architecture": _join_unique([device.abi for device in devices]),
        "cores": _join_unique([str(device.cores) for device in devices]),
        "system": _join_unique(
            [f"Android {device.android} (API {device.api})" for device in devices]
        ),
        "build": _join_unique([device.build for device in devices]),
    }


def _processors(devices: Sequence[DeviceInfo]) -> str:
    return _join_unique([f"{device.model} ({device.soc})" for device in devices])


def _join_unique(texts: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(texts))
