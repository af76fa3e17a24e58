"""Tables and a picture of what quantization did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from quantization.accuracy import SECTIONS

if TYPE_CHECKING:
    from rich.table import Table

    from quantization.pipeline import QuantizeResult

_MOST_SENSITIVE = 12
"""Blocks in the table on the terminal; the manifest and the plot have all."""


def sensitivity_table(results: list[QuantizeResult]) -> Table:
    """The most sensitive blocks, a column for each form of the model."""
    from rich.table import Table

    # Targets that share a study share its figures.
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
    worst = sorted(
        names, key=lambda name: min(column.get(name, float("inf")) for column in columns.values())
    )
    for name in worst[:_MOST_SENSITIVE]:
        cells = [f"{column[name]:.1f}" if name in column else "-" for column in columns.values()]
        table.add_row(name, *cells)
    return table


def summary_table(results: list[QuantizeResult]) -> Table:
    """One row a target."""
    from rich.table import Table

    table = Table(title="written, each measured in its runtime", title_justify="left")
    table.add_column("file", overflow="fold")
    headings = (
        "MB",
        "float",
        results[0].loss.measure,
        "agreement",
        "float blocks",
        "int8 MACs",
        "q / dq",
        "ranges",
        "outside",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for result in results:
        loss, parity = result.loss, result.parity
        study = result.manifest["quantization"]["calibration"]
        table.add_row(
            result.path.name,
            f"{result.manifest['file']['bytes'] / 1e6:.1f}",
            "" if loss.float_value is None else f"{loss.float_value:.2f}",
            f"{loss.value:.2f}",
            "" if parity.agreement is None else f"{parity.agreement:.2%}",
            str(len(result.float_blocks)),
            f"{result.report.int8_macs:.0%}",
            f"{result.report.quantize} / {result.report.dequantize}",
            str(study["method"]),
            str(sum(result.placement.outside.values())),
        )
    return table


def accuracy_table(results: list[QuantizeResult]) -> Table:
    """Every figure, size and class, float beside each target's int8."""
    from rich.table import Table

    accuracies = [result.manifest["accuracy"] for result in results]
    table = Table(title=f"%, on {accuracies[0]['images']} pictures", title_justify="left")
    table.add_column("figure")
    table.add_column("float", justify="right")
    for result in results:
        table.add_column(result.manifest["target"], justify="right")
    for section in SECTIONS:
        for name, value in accuracies[0]["float"][section].items():
            cells = (entry["quantized"][section].get(name) for entry in accuracies)
            table.add_row(name, *(_percent(cell) for cell in (value, *cells)))
        table.add_section()
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


_ROW, _MARGIN, _NAMES, _BARS = 20, 12, 260, 420


def sensitivity_plot(result: QuantizeResult) -> Image.Image:
    """A bar for each block: its SQNR alone in int8. Blocks kept in float are marked."""
    blocks = result.sensitivities
    height = _ROW * (len(blocks) + 2) + 2 * _MARGIN
    picture = Image.new("RGB", (_NAMES + _BARS + 70 + 2 * _MARGIN, height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=13)
    target = result.manifest["target"]
    title = f"{target}: SQNR of the outputs with one block in int8 (dB; orange stays float)"
    draw.text((_MARGIN, _MARGIN), title, "black", font)
    greatest = max((block.sqnr_db for block in blocks), default=1.0)
    for index, block in enumerate(blocks):
        top = _MARGIN + _ROW * (index + 2)
        colour = "#e08a1e" if block.block in result.float_blocks else "#3b6ea8"
        length = max(1, round(_BARS * max(0.0, block.sqnr_db) / greatest))
        left = _MARGIN + _NAMES
        draw.text((_MARGIN, top), block.block, "black", font)
        draw.rectangle((left, top + 2, left + length, top + _ROW - 4), fill=colour)
        draw.text((left + length + 6, top), f"{block.sqnr_db:.1f}", "black", font)
    return picture
