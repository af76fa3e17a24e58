"""The steps of the `lvt-bench` command: prepare, measure, profile and write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import typer

from device_bench.cli.android import (
    AndroidOptions,
    DeviceJob,
    prepare_devices,
    print_device_runs,
    run_device_job,
)
from device_bench.cli.progress import progress_bar
from device_bench.devices.adb.results import add_device_runs
from device_bench.devices.adb.runner import ANDROID, DeviceBenchOutcome
from device_bench.measure.backends import BenchTarget, default_target, open_bench_targets
from device_bench.measure.config import BenchConfig
from device_bench.measure.default_model import default_model_path
from device_bench.measure.host import run_benchmark
from device_bench.profile.chart import check_chart_name, draw_chart
from device_bench.profile.run_profile import check_profilable, profile_report, unsupported_reason
from device_bench.profile.tables import family_table, profile_notes, type_table
from device_bench.report.html_page import render
from device_bench.report.tables import print_report
from device_bench.results.bench_report import BenchReport
from device_bench.results.run_info import RunInfo
from export.artifact.files import manifest_path
from lvt.support.files import ensure_writable, write_text
from lvt.support.terminal import Terminal
from lvt.visualisation import save_picture


@dataclass(frozen=True)
class OutputFiles:
    """The files that the command writes; None: not requested."""

    json: Path | None
    html: Path | None
    profile_chart: Path | None

    def check(self, artifacts: tuple[Path, ...], sample: Path | None) -> None:
        """Check before the benchmark that all files can be written, and are not inputs.

        Raises:
            UserError: one cannot.
        """
        if self.profile_chart is not None:
            check_chart_name(self.profile_chart)
        inputs = [*artifacts, *map(manifest_path, artifacts), *([] if sample is None else [sample])]
        for file in (self.json, self.html, self.profile_chart):
            if file is not None:
                ensure_writable(file, inputs)

    def write(self, report: BenchReport, terminal: Terminal) -> None:
        """Write all requested files.

        Raises:
            UserError: one cannot be written.
        """
        if self.profile_chart is not None:
            profiles = [(r.label, r.profile) for r in report.results if r.profile is not None]
            save_picture(draw_chart(profiles), self.profile_chart)
        if self.json is not None:
            report.save(self.json)
        if self.html is not None:
            if report.results:
                write_text(self.html, render(report))
            else:
                terminal.note("no page: the tool reports no single inferences, which a page needs")


@dataclass(frozen=True)
class BenchRequest:
    """The request of one `lvt-bench` command.

    Attributes:
        artifacts: empty: the default model.
        backends: empty: each artifact's own on this machine.
        config: how to measure.
        sample: picture for the predictions; None: a packaged photo.
        profile: whether to profile after the benchmark.
        android: options for devices.
    """

    artifacts: tuple[Path, ...]
    backends: tuple[str, ...]
    config: BenchConfig
    sample: Path | None
    profile: bool
    android: AndroidOptions

    @property
    def host_backends(self) -> list[str]:
        """The requested backends of this machine."""
        return [name for name in self.backends if name != ANDROID]

    @property
    def uses_devices(self) -> bool:
        """Whether Android devices are requested."""
        return ANDROID in self.backends

    @property
    def uses_host(self) -> bool:
        """Whether this machine is requested, which is the default."""
        return bool(self.host_backends) or not self.uses_devices


@dataclass(frozen=True)
class BenchOutcome:
    """The report of this machine and of all devices, and the runs on devices."""

    report: BenchReport
    device_outcome: DeviceBenchOutcome


def run_bench(request: BenchRequest, terminal: Terminal) -> BenchOutcome:
    """Measure on this machine, then on devices, and print the tables; then profile.

    Everything is opened and checked before the first measurement.

    Raises:
        UserError: an artifact, backend or device cannot be used.
    """
    request.android.check(request.backends)
    request = _with_default_model(request, terminal)
    device_job = (
        prepare_devices(request.android, request.artifacts, request.config)
        if request.uses_devices
        else None
    )
    targets = (
        open_bench_targets(request.artifacts, request.host_backends) if request.uses_host else []
    )
    _print_artifact_notes(targets, device_job, terminal)
    if request.profile:
        check_profilable(targets)

    report = _measure_host(request, targets, terminal)
    outcome = DeviceBenchOutcome()
    if device_job is not None:
        outcome = run_device_job(device_job, terminal)
        report = add_device_runs(report, outcome.runs)
    if report.results:
        print_report(report, terminal)
    print_device_runs(outcome, terminal, threads=request.config.threads)
    if request.profile:
        report = _profile(report, terminal)
    return BenchOutcome(report, outcome)


def _with_default_model(request: BenchRequest, terminal: Terminal) -> BenchRequest:
    """The request with the path of the default model if it has no artifacts."""
    if request.artifacts:
        return request
    runtimes = [name.partition("-")[0] for name in request.android.runtimes]
    target = default_target(request.host_backends or runtimes)
    with terminal.steps() as progress:
        return replace(request, artifacts=(default_model_path(target, progress),))


def _print_artifact_notes(
    targets: list[BenchTarget], device_job: DeviceJob | None, terminal: Terminal
) -> None:
    artifacts = [target.artifact for target in targets]
    if device_job is not None:
        artifacts += [artifact for artifact, _runtime in device_job.plan.models]
    terminal.notes(dict.fromkeys(note for artifact in artifacts for note in artifact.notes))


def _measure_host(
    request: BenchRequest, targets: list[BenchTarget], terminal: Terminal
) -> BenchReport:
    """The report of this machine; without results if only devices are requested."""
    config = request.config
    if not targets:
        return BenchReport(RunInfo.now(config), ())
    with progress_bar(terminal) as progress:
        results = run_benchmark(targets, config, sample=request.sample, progress=progress)
    return BenchReport(RunInfo.now(config), tuple(results))


def _profile(report: BenchReport, terminal: Terminal) -> BenchReport:
    """Add profiles to the report and print them; row numbers match the other tables."""
    with terminal.steps() as progress:
        report = profile_report(report, progress)
    profiles = {
        number: result.profile
        for number, result in enumerate(report.results, start=1)
        if result.profile is not None
    }
    terminal.out.print(family_table(profiles))
    for number, profile in profiles.items():
        terminal.out.print(type_table(number, profile))
        for line in profile_notes(profile):
            typer.echo(f"{number}: {line}")
    for result in report.results:
        in_parts = result.stages is not None
        reason = unsupported_reason(result.backend, in_parts=in_parts)
        if reason is not None and not result.device:
            terminal.note(f"not profiled: {result.label}: {reason}")
    return report
