"""Profiles contestants once they have been timed, each in its own runtime's profiler."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import cast

from device_bench.measure.backends import TORCH, BenchTarget
from device_bench.measure.statistics import Samples
from device_bench.profile.summary import Profile
from device_bench.profile.trace import Reader
from export.targets import load_target
from lvt.data.images import packaged_photos, read_image
from lvt.errors import UserError

READERS = {
    "onnxruntime": "onnx_trace",
    "executorch": "executorch_trace",
    "tflite": "litert_trace",
}
"""Module of this package for each backend that can be profiled."""

_COREML = "Core ML tells operators' times to Xcode's Instruments only"
_REFUSED = {
    "coreml": _COREML,
    "executorch-coreml": _COREML,
    "coreai": "Core AI's runtime here is for the proof of files; its times say nothing of a device",
    TORCH: "the PyTorch reference is not what runs on a phone",
}


def refusal(entry: BenchTarget) -> str | None:
    """Why a contestant cannot be profiled; None if it can."""
    return _REFUSED.get(entry.backend)


def check_profilable(entries: Sequence[BenchTarget]) -> None:
    """Refuses before anything is measured.

    Raises:
        UserError: none of the contestants can be profiled.
    """
    reasons = [refusal(entry) for entry in entries]
    if all(reasons):
        whys = "; ".join(dict.fromkeys(reason for reason in reasons if reason))
        whys = whys or "nothing runs on this machine"
        raise UserError(f"--profile has nothing to profile: {whys}")


def profile(entry: BenchTarget, timed_ms: Samples, threads: int) -> Profile:
    """Runs a contestant under its runtime's profiler, in a session of its own.

    Args:
        entry: one without a `refusal`.
        timed_ms: what its timing gave, to tell how much the profiler slows it.
        threads: as in the timing.

    Raises:
        UserError: see `Reader.read`.
    """
    reader = cast(Reader, importlib.import_module(f"device_bench.profile.{READERS[entry.backend]}"))
    artifact = entry.artifact
    image = artifact.preprocessing(read_image(packaged_photos()[0]))
    trace = reader.read(artifact.path, image, threads)
    return Profile(trace, load_target(artifact.target).placement(artifact.path), timed_ms)
