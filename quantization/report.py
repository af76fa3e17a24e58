"""Tables and a plot of the results of quantization."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from quantization.manifest_entries import MANIFEST_SECTIONS

if TYPE_CHECKING:
    from rich.table import Table

    from quantization.pipeline import QuantizeResult

_TABLE_BLOCKS = 12
"""Blocks in the table on the terminal; the manifest and the plot contain all."""

_ROW_HEIGHT, _MARGIN, _NAMES_WIDTH, _BARS_WIDTH, _VALUES_WIDTH = 20, 12, 260, 420, 70
"""Layout of the plot, in pixels."""

_INT8_COLOUR, _FLOAT_COLOUR = "#3b6ea8", "#e08a1e"


def sensitivity_table(results: list[QuantizeResult]) -> Table:
    """The most sensitive blocks, with a column for each calibrated model."""
    from rich.table import Table

    # Targets that share a calibrated model share its sensitivities.
    columns = {
        ", ".join(
            r.manifest["target"] for r in results if r.sensitivities is first.sensitivities
        ): {s.block: s.sqnr_db for s in first.sensitivities}
        for first in results
    }
    table = Table(title="SQNR with one block in int8, worst first", title_justify="left")
    table.add_column("block")
    for heading in columns:
        table.add_column(f"{heading}, dB", justify="right")
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    worst_first = sorted(
        names, key=lambda name: min(column.get(name, float("inf")) for column in columns.values())
    )
    for name in worst_first[:_TABLE_BLOCKS]:
        cells = [f"{column[name]:.1f}" if name in column else "-" for column in columns.values()]
        table.add_row(name, *cells)
    return table


def summary_table(results: list[QuantizeResult]) -> Table:
    """One row for each target."""
    from rich.table import Table

    table = Table(title="written, each measured in its runtime", title_justify="left")
    table.add_column("target")
    metric, float_known = results[0].drop.metric, results[0].drop.float_value is not None
    headings = (
        "MB",
        *((f"float {metric}",) if float_known else ()),
        metric,
        "agreement",
        "float or 16-bit blocks",
        "int8 MACs",
        "q / dq",
        "ranges",
        "outside",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for result in results:
        drop, parity = result.drop, result.parity
        table.add_row(
            result.manifest["target"],
            f"{result.manifest['file']['bytes'] / 1e6:.1f}",
            *(() if drop.float_value is None else (f"{drop.float_value:.2f}",)),
            f"{drop.value:.2f}",
            "" if parity.agreement is None else f"{parity.agreement:.2%}",
            str(len(result.float_blocks)),
            f"{result.report.int8_mac_share:.0%}",
            f"{result.report.quantize_count} / {result.report.dequantize_count}",
            str(result.manifest["quantization"]["calibration"]["method"]),
            str(sum(result.placement.outside.values())),
        )
    return table


def accuracy_table(results: list[QuantizeResult]) -> Table:
    """Every metric, object size and class: float beside the int8 of each target."""
    from rich.table import Table

    accuracies = [result.manifest["accuracy"] for result in results]
    table = Table(title=f"%, on {accuracies[0]['images']} pictures", title_justify="left")
    table.add_column("figure")
    table.add_column("float", justify="right")
    for result in results:
        table.add_column(result.manifest["target"], justify="right")
    for section in MANIFEST_SECTIONS:
        for name, value in accuracies[0]["float"][section].items():
            cells = (entry["quantized"][section].get(name) for entry in accuracies)
            table.add_row(name, *(_percent(cell) for cell in (value, *cells)))
        table.add_section()
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def sensitivity_plot(result: QuantizeResult) -> Image.Image:
    """A bar for each block: the SQNR with only this block in int8. Float blocks are marked."""
    sensitivities = result.sensitivities
    width = _NAMES_WIDTH + _BARS_WIDTH + _VALUES_WIDTH + 2 * _MARGIN
    height = _ROW_HEIGHT * (len(sensitivities) + 2) + 2 * _MARGIN
    plot = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(plot), ImageFont.load_default(size=13)
    target = result.manifest["target"]
    title = f"{target}: SQNR of the outputs with one block in int8 (dB; orange stays float)"
    draw.text((_MARGIN, _MARGIN), title, "black", font)
    finite = (s.sqnr_db for s in sensitivities if math.isfinite(s.sqnr_db))
    greatest = max(finite, default=1.0) or 1.0
    left = _MARGIN + _NAMES_WIDTH
    for index, sensitivity in enumerate(sensitivities):
        top = _MARGIN + _ROW_HEIGHT * (index + 2)
        bottom = top + _ROW_HEIGHT - 4
        colour = _FLOAT_COLOUR if sensitivity.block in result.float_blocks else _INT8_COLOUR
        length = max(
            1, round(_BARS_WIDTH * min(max(0.0, sensitivity.sqnr_db), greatest) / greatest)
        )
        draw.text((_MARGIN, top), sensitivity.block, "black", font)
        draw.rectangle((left, top + 2, left + length, bottom), fill=colour)
        draw.text((left + length + 6, top), f"{sensitivity.sqnr_db:.1f}", "black", font)
    return plot
