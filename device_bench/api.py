"""The Python interface: benchmark artifacts on this machine.

from device_bench import benchmark

report = benchmark("baseline.onnx", "candidate.onnx")
print(report)
report.save("results.json")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from device_bench.measure.backends import default_target, open_bench_targets
from device_bench.measure.config import BenchConfig, BenchProgress, no_progress
from device_bench.measure.default_model import default_model_path
from device_bench.measure.host import run_benchmark
from device_bench.results.bench_report import BenchReport
from device_bench.results.run_info import RunInfo


def benchmark(
    *artifacts: str | Path,
    backends: str | Sequence[str] = (),
    threads: int = 1,
    preset: str = "quick",
    runs: int | None = None,
    min_seconds: float | None = None,
    sample: str | Path | None = None,
    progress: BenchProgress = no_progress,
) -> BenchReport:
    """Measure artifacts in interleaved rounds, as `lvt-bench` does.

    Args:
        artifacts: model files with their manifests. Without any, a default classifier is exported
            and measured.
        backends: "onnxruntime", "executorch", "tflite", "coreml" (on a Mac) or "torch"; every
            artifact is measured in each of them. By default each in its own runtime.
        threads: of the runtimes.
        preset: "quick" (128 runs and 10 s) or "submission" (1024 runs and 60 s).
        runs: minimum number of timed runs instead of the preset's. With fewer than the preset
            requires, results are not valid.
        min_seconds: minimum time of the runs instead of the preset's; see `runs`.
        sample: picture for the predictions that reports show; by default a packaged photo.
        progress: called with the current step and the completed share of the timed runs.

    Returns:
        One result per artifact and backend; the speed-ups are over the first.

    Raises:
        UserError: an argument cannot be used, or a model does not run.
    """
    config = BenchConfig.from_preset(preset, threads=threads, runs=runs, min_seconds=min_seconds)
    names = (backends,) if isinstance(backends, str) else backends
    paths = [Path(artifact) for artifact in artifacts]
    if not paths:
        target = default_target(names)
        paths = [default_model_path(target, lambda step: progress(step, 0.0))]
    results = run_benchmark(
        open_bench_targets(paths, names),
        config,
        sample=None if sample is None else Path(sample),
        progress=progress,
    )
    return BenchReport(RunInfo.now(config), tuple(results))
