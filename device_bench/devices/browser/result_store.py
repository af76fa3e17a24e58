"""Collects the results of browsers, and joins them with those of an existing result file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_bench.measure.config import BenchConfig
from device_bench.measure.statistics import latency_ratio
from device_bench.results.bench_report import BenchReport, read_report, write_json
from device_bench.results.bench_result import BenchResult
from device_bench.results.run_info import RunInfo
from lvt.errors import UserError


class ResultStore:
    """One report that grows by the results of every browser.

    Args:
        file: result file to write; its existing results are kept as they are. None: no file.
        config: how the browsers measure.

    Raises:
        UserError: the file is not a result file, or was measured with another configuration.
    """

    def __init__(self, file: Path | None, config: BenchConfig):
        self._file, self._config = file, config
        self._report: BenchReport | None = None
        # The stored JSON is kept, because it may contain fields that this version does not know.
        self._stored: dict[str, Any] | None = None
        if file is not None and file.exists():
            self._report = read_report(file)
            self._stored = json.loads(file.read_text("utf-8-sig"))
            run = self._report.run
            if (run.preset, run.threads) != (config.preset, config.threads):
                raise UserError(
                    f"{file} was measured with --preset {run.preset.name} and --threads "
                    f"{run.threads}: use the same, or give another file"
                )

    def add(self, results: Sequence[BenchResult]) -> BenchReport:
        """Add the results of one browser, and write the file.

        The speed-ups within one browser come from interleaved rounds. If the first result of the
        report comes from elsewhere, the speed-ups over it are of separate runs.

        Returns:
            The report with all results so far.
        """
        if self._report is None:
            environment = results[0].device or {}
            run = replace(RunInfo.now(self._config), environment=dict(environment))
            self._report = BenchReport(run, tuple(results))
            self._stored = self._report.to_dict()
        else:
            baseline = self._report.results[0].samples_ms
            added = [
                replace(result, speedup=latency_ratio(result.samples_ms, baseline))
                for result in results
            ]
            self._report = replace(self._report, results=(*self._report.results, *added))
            assert self._stored is not None
            entries = [*self._stored["results"], *(result.to_dict() for result in added)]
            self._stored = self._stored | {"results": entries}
        if self._file is not None:
            write_json(self._file, self._stored)
        return self._report
