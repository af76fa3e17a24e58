"""The command `lvt-verify`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from export.verify.arm.cpus import CPUS
from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import FAILED, command
from lvt.support.options import AsJson, Verbose, Version, choice
from lvt.support.terminal import Terminal
from lvt.support.validation import json_text

if TYPE_CHECKING:
    from rich.table import Table

    from export.parity.compare import OutputParity, ParityReport
    from export.verify.arm.check import EmulationResult
    from export.verify.artifact_checks import Verification

Hardware = Literal["arm", "gpu", "htp"]
"""Hardware of `--on`, emulated where the machine has none."""
HARDWARE: tuple[Hardware, ...] = get_args(Hardware)

ArtifactFiles = Annotated[
    list[Path] | None, typer.Argument(help="Files written by lvt-export and lvt-quantize.")
]
CpuNames = Annotated[
    list[str] | None,
    typer.Option(
        "--cpu",
        help=f"Emulated processor: {', '.join(CPUS)} (x86 without VNNI); repeatable. "
        "[default: all]",
    ),
]
ReferenceCheckpoint = Annotated[
    Path | None,
    typer.Option("--ckpt", help="Checkpoint of the files, or `demo`, for the float reference."),
]
PictureFolder = Annotated[
    Path | None,
    typer.Option("--images", help="Folder of pictures. [default: packaged photos or scenes]"),
]
PictureCount = Annotated[int, typer.Option("--pictures", min=1, help="Number of pictures.")]

app = new_app()


@app.command()
def verify(
    artifacts: ArtifactFiles = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            help="arm: emulated phone processors, fetched into the user's cache on first use. "
            "gpu: LiteRT's GPU accelerator, on this machine's GPU or else on software devices, "
            "fetched likewise. htp: every chip of qnn files, in the NPU's software model. "
            "[default: this machine, in the file's own runtime]",
        ),
    ] = None,
    cpu: CpuNames = None,
    soc: Annotated[
        list[str] | None,
        typer.Option(
            "--soc", metavar="NAME", help="With --on htp: a chip of the file. [default: all]"
        ),
    ] = None,
    ckpt: ReferenceCheckpoint = None,
    images: PictureFolder = None,
    pictures: PictureCount = 4,
    as_json: AsJson = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Check that artifacts are what their manifests claim.

    Checks hash, preprocessing, outputs, and parity with the float reference on pictures. Exit code
    1: a check failed. Without files, `--on arm` and `--on gpu` only fetch what they need.
    """
    with command(verbose) as terminal:
        hardware = choice(on, HARDWARE, "hardware")
        if hardware == "arm":
            verify_on_arm(terminal, artifacts or [], cpu, ckpt, images, pictures, as_json=as_json)
            return
        if hardware == "gpu" and not artifacts:
            fetch_gpu(terminal)
            return
        if not artifacts:
            raise UserError("give at least one file to verify")
        if cpu:
            raise UserError("--cpu names an emulated processor: add --on arm")
        if soc and hardware != "htp":
            raise UserError("--soc names a chip: add --on htp")
        from export.verify.artifact_checks import model_files, verify_artifact
        from export.verify.gpu import verify_on_gpu
        from export.verify.htp import verify_on_htp

        checks: dict[Hardware | None, Callable[..., Verification]] = {
            None: verify_artifact,
            "gpu": verify_on_gpu,
            "htp": partial(verify_on_htp, soc=soc or ()),
        }
        check = checks[hardware]
        with terminal.steps() as progress:
            results = [
                check(path, checkpoint=ckpt, folder=images, count=pictures, progress=progress)
                for path in model_files(artifacts)
            ]
        if as_json:
            files = [result.to_dict() for result in results]
            typer.echo(json_text({"schema": 1, "files": files}))
        else:
            terminal.out.print(checks_table(results))
        if not all(result.passed for result in results):
            raise typer.Exit(FAILED)


def fetch_gpu(terminal: Terminal) -> None:
    """Fetches the software devices of `--on gpu`.

    Raises:
        UserError: they cannot be fetched.
    """
    from export.targets.tflite.gpu.software import fetch_software

    with terminal.steps() as progress:
        fetch_software(progress)


def verify_on_arm(
    terminal: Terminal,
    files: list[Path],
    cpu_names: list[str] | None,
    checkpoint: Path | None,
    folder: Path | None,
    pictures: int,
    *,
    as_json: bool,
) -> None:
    """Runs artifacts on emulated processors, prints the differences, and fails beyond the limits.

    Raises:
        UserError: the user can fix the problem.
        typer.Exit: a difference is beyond its limit.
    """
    from export.artifact.reader import open_artifact
    from export.verify.arm.check import check_supported, verify_on_cpus
    from export.verify.arm.cpus import chosen_cpus
    from export.verify.arm.machine import arm_machine
    from export.verify.artifact_checks import model_files
    from export.verify.pictures import prepared_images

    cpus = chosen_cpus(cpu_names)
    opened = [open_artifact(path) for path in model_files(files)]
    for artifact in opened:
        check_supported(artifact)
        terminal.notes(artifact.notes)
    with terminal.steps() as progress:
        machine = arm_machine(progress)
        results = []
        for artifact in opened:
            images = prepared_images(artifact, pictures, folder)
            results.append(verify_on_cpus(artifact, machine, cpus, images, checkpoint, progress))
    if as_json:
        typer.echo(json_text({"schema": 2, "artifacts": [result.to_dict() for result in results]}))
    else:
        for result in results:
            terminal.out.print(emulation_table(result))
    for result in results:
        for entry in result.cpus:
            if entry.failures:
                phrases = "; ".join(entry.failures)
                terminal.note(f"error: {result.artifact.path.name}: {entry.cpu.name}: {phrases}")
    if not all(result.passed for result in results):
        raise typer.Exit(FAILED)


def checks_table(results: list[Verification]) -> Table:
    """One row per check."""
    from rich.table import Table

    table = Table("file", "check", "result", "detail", title="verified", title_justify="left")
    for result in results:
        name = result.path.name
        for check in result.checks:
            status = "FAILED" if check.status == "failed" else check.status
            table.add_row(name, check.name, status, check.detail)
            name = ""
    return table


def emulation_table(result: EmulationResult) -> Table:
    """One row per processor and output."""
    from rich.table import Table

    first = result.cpus[0].expected
    artifact = result.artifact
    table = Table(
        title=f"{artifact.path.name}, {artifact.precision}, {first.images} pictures; "
        f"expected: {result.expected}",
        title_justify="left",
    )
    for heading in ("processor", "kernels", "output"):
        table.add_column(heading)
    agreement = first.agreement_measure
    headings = ["SQNR to expected", "of range", f"same {agreement}" if agreement else ""]
    if result.expected_reference is not None:
        headings += ["SQNR to float", "expected to float"]
    for heading in filter(None, headings):
        table.add_column(heading, justify="right")
    table.add_column("")
    for entry in result.cpus:
        verdict = "FAILED" if entry.failures else "passed"
        processor = [entry.cpu.name, entry.cpu.kernels]
        same = "" if entry.expected.agreement is None else f"{entry.expected.agreement:.3%}"
        for output in entry.expected.outputs:
            row = [*processor, output.name, _decibels(output), f"{output.relative_error:.1e}"]
            row += [same] if agreement else []
            if result.expected_reference is not None:
                row += [
                    _decibels(_output(report, output.name))
                    for report in (entry.reference, result.expected_reference)
                ]
            table.add_row(*row, verdict)
            processor, same, verdict = ["", ""], "", ""  # once per processor
    return table


def _output(report: ParityReport | None, name: str) -> OutputParity | None:
    outputs = () if report is None else report.outputs
    return next((output for output in outputs if output.name == name), None)


def _decibels(output: OutputParity | None) -> str:
    if output is None:
        return "-"
    return "equal" if output.max_abs_error == 0 else f"{output.sqnr_db:.1f} dB"
