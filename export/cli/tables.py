"""Tables that lvt-export prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from export.paper_models import CountedModel
    from export.pipeline import ExportResult

_SHOWN_OPERATORS = 8
"""Number of operator types listed on the terminal; the manifest lists all."""


def headline(result: ExportResult) -> str:
    placement = result.placement
    count = placement.partitions
    partitions = "" if count is None else f" in {count} partition{'s'[: count != 1]}"
    megabytes = result.manifest["file"]["bytes"] / 1e6
    gmacs = result.manifest["macs"]["artifact"] / 1e9
    lines = [
        f"{result.path}  {result.manifest['precision']}, {megabytes:.1f} MB, {gmacs:.2f} GMAC",
        f"{placement.accelerator}: {sum(placement.delegated.values())} operators{partitions}, "
        f"{sum(placement.outside.values())} outside (fallback: {placement.fallback})",
    ]
    if placement.outside:
        by_count = sorted(placement.outside.items(), key=lambda entry: -entry[1])
        shown = [f"{count} {operator}" for operator, count in by_count[:_SHOWN_OPERATORS]]
        more = [f"{len(by_count) - len(shown)} more kinds"] if len(by_count) > len(shown) else []
        lines.append("outside: " + ", ".join(shown + more))
    lines += placement.remarks
    gpu = result.manifest["placement"].get("gpu")
    if gpu is not None:
        lines.append(f"GPU: {gpu['problem'] or 'all operators'} (checked on {gpu['checked_on']})")
    return "\n".join(lines)


def parity_table(result: ExportResult) -> Table:
    """Difference of each output from the reference."""
    parity = result.parity
    agreement = "" if parity.agreement is None else f"{parity.agreement:.4%}"
    title = f"parity with the PyTorch reference on {parity.images} images"
    table = Table(title=title, title_justify="left")
    table.add_column("output")
    table.add_column("max error", justify="right")
    table.add_column("of range", justify="right")
    table.add_column("SQNR", justify="right")
    if agreement:
        table.add_column(f"same {parity.agreement_measure}", justify="right")
    for output in parity.outputs:
        row = [
            output.name,
            f"{output.max_abs_error:.2e}",
            f"{output.relative_error:.1e}",
            f"{output.sqnr_db:.1f} dB",
        ]
        table.add_row(*row, *([agreement] if agreement else []))
    for name in parity.not_measured:
        table.add_row(name, "no detections", "", "", *([""] if agreement else []))
    return table


def summary_table(results: list[ExportResult]) -> Table:
    """One row per target, with the worst figures of its outputs."""
    table = Table(title="written, each compared with the PyTorch reference", title_justify="left")
    table.add_column("file", overflow="fold")
    table.add_column("precision")
    for heading in ("MB", "error of range", "SQNR", "agreement", "partitions", "outside", "time"):
        table.add_column(heading, justify="right")
    for result in results:
        parity, placement = result.parity, result.placement
        table.add_row(
            result.path.name,
            result.manifest["precision"],
            f"{result.manifest['file']['bytes'] / 1e6:.1f}",
            f"{max(output.relative_error for output in parity.outputs):.1e}",
            f"{min(output.sqnr_db for output in parity.outputs):.1f} dB",
            "" if parity.agreement is None else f"{parity.agreement:.3%}",
            "-" if placement.partitions is None else str(placement.partitions),
            f"{sum(placement.outside.values())}",
            f"{result.seconds:.0f} s",
        )
    return table


def paper_models_table(measured: list[CountedModel]) -> Table:
    """One row per model, with the paper's figures in brackets as printed there."""
    from export.paper_models import COLUMNS, row

    table = Table(title="models of the paper; its figures in brackets", title_justify="left")
    for column, justify in COLUMNS.items():
        table.add_column(column, justify=justify)
    for entry in measured:
        table.add_row(*row(entry))
    return table
