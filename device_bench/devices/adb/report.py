"""What runs on devices leave in a result file, and what is printed of them beside its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from device_bench.devices.adb.device_info import Description
from device_bench.devices.adb.monitor import conditions
from device_bench.devices.adb.run_types import Timed
from device_bench.devices.adb.runner import PhoneRun
from device_bench.devices.adb.tool_output import Printed
from device_bench.measure.statistics import Samples, latency_ratio, summarise

if TYPE_CHECKING:
    from rich.table import Table


def device_names(devices: Sequence[Description]) -> dict[str, str]:
    """By serial number: the model, and the number too where there are several of one model."""
    models = [device.model for device in devices]
    return {
        device.serial: device.model
        if models.count(device.model) == 1
        else f"{device.model} {device.serial}"
        for device in devices
    }


def phone_environment(devices: Sequence[Description]) -> dict[str, Any]:
    """What a result file of devices only says of its environment, in the words of the host's."""

    def listed(texts: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(texts))

    return {
        "processor": listed([f"{device.model} ({device.soc})" for device in devices]),
        "architecture": listed([device.abi for device in devices]),
        "cores": listed([str(device.cores) for device in devices]),
        "system": listed([f"Android {device.android} (API {device.api})" for device in devices]),
        "build": listed([device.build for device in devices]),
    }


def phone_entry(
    run: PhoneRun, timed: Timed, name: str, accuracy: dict[str, Any] | None, first: Samples | None
) -> dict[str, Any]:
    """A result: the fields of the host's, `None` where nothing was measured, and the device.

    Args:
        name: of the device.
        first: samples of the first result of the file; None if this is it.
    """
    manifest = run.artifact.manifest
    summary = summarise(timed.samples_ms)
    macs = int(manifest["macs"]["artifact"])
    return {
        "label": f"{run.artifact.path.name}, {run.runtime} on {name}",
        "artifact": str(run.artifact.path),
        "backend": f"{run.runtime} on {name}",
        "task": manifest["task"],
        "precision": manifest["precision"],
        "input": manifest["inputs"][0]["shape"],
        "sha256": manifest["file"]["sha256"],
        "file_bytes": manifest["file"]["bytes"],
        "macs": macs,
        "parameters": manifest["parameters"],
        "valid": not run.reasons,
        "reasons": list(run.reasons),
        "accuracy": accuracy,
        "cold_start": {
            "load_ms": timed.load_ms,
            "first_ms": timed.first_ms,
            "memory_bytes": None,
        },
        "arena_bytes": None,
        "warmup": asdict(timed.warmup),
        "latency_ms": summary.to_dict(),
        "speedup_over_first": None
        if first is None
        else asdict(latency_ratio(timed.samples_ms, first)),
        "gmacs_per_second": macs / 1e6 / summary.median.value,
        "preprocess_ms": None,
        "postprocess_ms": None,
        "joules_per_inference": None if run.energy is None else run.energy.millijoules / 1e3,
        "conditions": [each.to_dict() for each in conditions(run.readings, timed.samples_ms)],
        "answer": None,
        "samples_ms": [round(float(sample), 4) for sample in timed.samples_ms],
        "profile": None,
        "device": _device(run, timed.version, timed.accelerator),
    }


def tool_entry(run: PhoneRun, printed: Printed, name: str) -> dict[str, Any]:
    """What a tool said that tells no single inference."""
    return {
        "artifact": str(run.artifact.path),
        "backend": f"{run.runtime} on {name}",
        "sha256": run.artifact.manifest["file"]["sha256"],
        "tool": run.runner,
        "runs": printed.runs,
        "load_ms": printed.load_ms,
        "first_ms": printed.first_ms,
        "figures_ms": printed.figures,
        "valid": False,
        "reasons": list(run.reasons),
        "device": _device(run, None, None),
    }


def _device(run: PhoneRun, version: str | None, accelerator: str | None) -> dict[str, Any]:
    return {
        **asdict(run.device),
        "runner": run.runner,
        "runtime_version": version,
        "accelerator": accelerator,
        "cool_down_seconds": round(run.cooled.seconds, 1),
        "before": asdict(run.cooled.condition),
        "after": asdict(run.after),
        "readings": [asdict(reading) for reading in run.readings],
        "energy": None if run.energy is None else asdict(run.energy),
    }


def tool_table(runs: Sequence[PhoneRun], names: dict[str, str], *, threads: int) -> Table:
    """What tools said that tell no single inference."""
    from rich.table import Table
    from rich.text import Text

    title = f"as told by the runtime's own tool, {threads} thread{'s' if threads > 1 else ''}, ms"
    table = Table(title=title, title_justify="left")
    table.add_column("artifact", overflow="fold")
    for heading in ("on", "tool"):
        table.add_column(heading)
    columns = ("mean", "std", "min", "median", "p90", "p95", "p99", "max")
    told = [run for run in runs if isinstance(run.timed, Printed)]
    shown = [c for c in columns if any(c in _printed(run).figures for run in told)]
    for heading in ("runs", "load", "first", *shown):
        table.add_column(heading, justify="right")
    for run in told:
        printed = _printed(run)
        figures = [printed.load_ms, printed.first_ms, *(printed.figures.get(c) for c in shown)]
        table.add_row(
            Text(run.artifact.path.name),
            Text(names[run.device.serial]),
            run.runner,
            str(printed.runs),
            *("-" if ms is None else f"{ms:.2f}" for ms in figures),
        )
    return table


def _printed(run: PhoneRun) -> Printed:
    assert isinstance(run.timed, Printed)
    return run.timed


def device_lines(runs: Sequence[PhoneRun], names: dict[str, str]) -> Iterator[str]:
    """A line for each device, and for each run what became of its battery and temperature."""
    for device in dict.fromkeys(run.device for run in runs):
        clusters = " + ".join(
            f"{c.cores}x {c.max_mhz or '?'} MHz ({c.governor or 'unknown governor'})"
            for c in device.clusters
        )
        yield (
            f"{names[device.serial]}: {device.soc}, Android {device.android} (API {device.api}), "
            f"{clusters or 'unknown cores'}"
        )
        for run in runs:
            if run.device == device:
                yield f"  {run.artifact.path.name}, {run.runtime}: {_course(run)}"


def _course(run: PhoneRun) -> str:
    before, after = run.cooled.condition, run.after
    parts = [
        f"battery {_value(before.battery_percent)}%, {_value(before.battery_celsius)} to "
        f"{_value(after.battery_celsius)} °C"
    ]
    if before.thermal_status is not None:
        parts.append(f"thermal status {before.thermal_status} to {_value(after.thermal_status)}")
    if run.cooled.seconds >= 1:
        parts.append(f"cooled down for {run.cooled.seconds:.0f} s")
    if run.energy is not None:
        parts.append(f"{run.energy.watts:.1f} W, {run.energy.millijoules:.1f} mJ an inference")
    return ", ".join(parts)


def _value(value: object) -> str:
    return "?" if value is None else str(value)
