"""`lvt-bench arm`: verify the outputs of artifacts on emulated processors of phones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lvt.support.console import FAILED, AsJson, Terminal, Verbose, command
from lvt.support.validation import json_text

if TYPE_CHECKING:
    from rich.table import Table

    from export.parity.compare import OutputParity, ParityReport
    from export.verify.emulated import ArmResult


def arm(
    artifacts: Annotated[
        list[Path] | None,
        typer.Argument(
            help="ONNX and TFLite files of lvt-export and lvt-quantize. Without any, only fetch "
            "the emulator."
        ),
    ] = None,
    cpu: Annotated[
        list[str] | None,
        typer.Option(
            help="cortex-a53, cortex-a76, cortex-a710, max, or Haswell (x86 without VNNI); "
            "repeatable. [default: all]"
        ),
    ] = None,
    ckpt: Annotated[
        Path | None,
        typer.Option(help="Checkpoint of the files, or `demo`: also compare with its float model."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of images. [default: packaged photos or scenes]")
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Number of images.")] = 4,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Run artifacts on emulated processors and compare their outputs.

    Debian's QEMU runs the arm64 wheels of ONNX Runtime and LiteRT, and this machine's wheels on an
    x86 processor without VNNI. The first run downloads missing parts to the user's cache. This
    verifies the outputs of the kernels, not their speed: docs/arm.md.
    Exit code 1: the outputs of a file differ.
    """
    with command(verbose) as terminal:
        from export.artifact.reader import open_artifact
        from export.verify.arm_machine import arm_machine
        from export.verify.cpus import chosen_cpus
        from export.verify.emulated import check_artifact, make_images, run_check

        cpus = chosen_cpus(cpu)
        opened = [open_artifact(path) for path in artifacts or []]
        for artifact in opened:
            check_artifact(artifact)
            terminal.notes(artifact.notes)
        with terminal.steps() as progress:
            machine = arm_machine(progress)
            results = [
                run_check(
                    artifact,
                    machine,
                    cpus,
                    make_images(artifact, pictures, images),
                    ckpt,
                    progress,
                )
                for artifact in opened
            ]
        if as_json:
            data = {"schema": 2, "artifacts": [result.to_dict() for result in results]}
            typer.echo(json_text(data))
        else:
            for result in results:
                terminal.out.print(arm_table(result))
        _report_failures(results, terminal)


def _report_failures(results: list[ArmResult], terminal: Terminal) -> None:
    """Print the failures of all results.

    Raises:
        typer.Exit: there are some.
    """
    for result in results:
        for entry in result.cpus:
            if entry.failures:
                phrases = "; ".join(entry.failures)
                terminal.note(f"error: {result.artifact.path.name}: {entry.cpu.name}: {phrases}")
    if not all(result.passed for result in results):
        raise typer.Exit(FAILED)


def arm_table(result: ArmResult) -> Table:
    """One row per processor and output."""
    from rich.table import Table

    manifest = result.artifact.manifest
    shown = result.cpus[0].expected
    name = result.artifact.path.name
    table = Table(
        title=f"{name}, {manifest['precision']}, {shown.images} pictures; "
        f"expected: {result.expected}",
        title_justify="left",
    )
    for heading in ("processor", "kernels", "output"):
        table.add_column(heading)
    agreement = shown.agreement_measure
    headings = ["SQNR to expected", "of range", f"same {agreement}" if agreement else ""]
    if result.expected_reference is not None:
        headings += ["SQNR to float", "expected to float"]
    for heading in filter(None, headings):
        table.add_column(heading, justify="right")
    table.add_column("")
    for entry in result.cpus:
        verdict = "FAILED" if entry.failures else "passed"
        heads = [entry.cpu.name, entry.cpu.kernels]
        same = "" if entry.expected.agreement is None else f"{entry.expected.agreement:.3%}"
        for output in entry.expected.outputs:
            row = [*heads, output.name, _decibels(output), f"{output.relative_error:.1e}"]
            row += [same] if agreement else []
            if result.expected_reference is not None:
                row += [
                    _decibels(_named(report, output.name))
                    for report in (entry.reference, result.expected_reference)
                ]
            table.add_row(*row, verdict)
            heads, same, verdict = ["", ""], "", ""
    return table


def _named(report: ParityReport | None, name: str) -> OutputParity | None:
    outputs = () if report is None else report.outputs
    return next((output for output in outputs if output.name == name), None)


def _decibels(output: OutputParity | None) -> str:
    if output is None:
        return "-"
    return "equal" if output.max_abs_error == 0 else f"{output.sqnr_db:.1f} dB"
