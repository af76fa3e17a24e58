"""The arguments and options of all `lvt-bench` commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# What to measure

BenchArtifacts = Annotated[
    list[Path] | None,
    typer.Argument(help="Files written by lvt-export. [default: a default model]"),
]
ServedArtifacts = Annotated[
    list[Path] | None,
    typer.Argument(help="ONNX files written by lvt-export. [default: a default model]"),
]
Backends = Annotated[
    list[str] | None,
    typer.Option(
        help="onnxruntime, executorch, tflite, coreml (on a Mac) or torch on this machine, "
        "android for devices on adb; repeatable. [default: each artifact's own]"
    ),
]
Checkpoint = Annotated[
    Path | None, typer.Option(help="Checkpoint, or `demo`. [default: random weights]")
]
RandomModelTask = Annotated[str, typer.Option(help="Task of a model with random weights.")]
BaselineTasks = Annotated[
    list[str] | None,
    typer.Option(help="backbone, semantic or panoptic; repeatable. [default: all]"),
]
InputSize = Annotated[str, typer.Option(help="Input size, HEIGHTxWIDTH.")]
BaselineSize = Annotated[
    str | None, typer.Option(help="Input size, HEIGHTxWIDTH. [default: the paper's]")
]

# How to measure

Threads = Annotated[int, typer.Option(min=1, help="Threads of the runtime.")]
WasmThreads = Annotated[int, typer.Option(min=1, help="Threads of WebAssembly.")]
Preset = Annotated[
    str, typer.Option(help="quick: 128 runs and 10 s; submission: 1024 runs and 60 s.")
]
Runs = Annotated[
    int | None, typer.Option(min=1, help="Minimum number of runs. [default: the preset's]")
]
MinSeconds = Annotated[
    float | None, typer.Option(min=0, help="Minimum time of the runs. [default: the preset's]")
]
Profile = Annotated[
    bool,
    typer.Option("--profile", help="Also measure the time of each operator."),
]

# Android devices

Serial = Annotated[
    str | None,
    typer.Option(help="android: serial number of the device, as adb devices shows it, or all."),
]
AndroidRuntimes = Annotated[
    list[str] | None,
    typer.Option(
        help="android: onnxruntime (or -xnnpack, -nnapi), tflite (or -gpu, -nnapi) or "
        "executorch; repeatable. [default: each artifact's own]"
    ),
]
ToolBinary = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="android: the runtime's own benchmark_model, onnxruntime_perf_test or "
        "executor_runner, to run instead of the demo app.",
    ),
]
CoolTo = Annotated[
    float,
    typer.Option(metavar="CELSIUS", help="android: highest battery temperature to start at."),
]
CoolSeconds = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="android: maximum cool-down wait, in seconds."),
]

# Server of lvt-bench serve

Lan = Annotated[
    bool, typer.Option("--lan", help="Let phones in this network open the page; shows a QR code.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")]
Certificate = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Certificate for https (PEM); needs --key."),
]
CertificateKey = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Key of the certificate (PEM).")
]
Setup = Annotated[
    bool, typer.Option("--setup", help="Install onnxruntime-web with npm, once, and exit.")
]

# Inputs and outputs of reports

SampleFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Sample image for the report. [default: a bundled photo]"),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all results and raw samples.")
]
AppendedJsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Result file; new results are added to it."),
]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a report as an HTML page.")
]
ProfileChart = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Draw the profiles as a PNG picture; implies --profile."),
]
ResultFile = Annotated[Path, typer.Argument(help="Written by lvt-bench --json.")]
FailAbove = Annotated[
    float | None,
    typer.Option(min=0, help="Exit with 1 if a ratio is significantly above this limit."),
]
