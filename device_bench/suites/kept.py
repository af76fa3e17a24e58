"""The parts of each command's JSON that records keep: those that pages show.

Raw samples, predictions and anchors stay out, because records are part of the repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_EXPORTED = (
    "task",
    "target",
    "precision",
    "file",
    "parameters",
    "macs",
    "inputs.*.shape",
    "parity.runtime",
    "parity.images",
    "parity.outputs",
    "parity.agreement",
    "placement.accelerator",
    "placement.partitions",
    "placement.outside",
    "placement.gpu",
    "rewritten",
    "source",
)
_TIMED = ("valid", "reasons", "latency_ms")

KEPT: Mapping[str, tuple[str, ...]] = {
    "lvt-export": _EXPORTED,
    "lvt-quantize": (
        *_EXPORTED,
        "quantization.calibration",
        "quantization.budget",
        "quantization.int8_share_of_macs",
        "quantization.kept_float_by_sensitivity",
        "quantization.16_bit_blocks",
        "quantization.share_of_16_bit_values",
        "quantization.sqnr_db_against_program",
        "accuracy",
    ),
    "lvt-eval": ("images", "figures", "per_size"),
    "lvt-verify": ("files", "artifacts"),
    "lvt-bench": (
        "protocol",
        *(
            f"results.*.{key}"
            for key in (
                "label",
                "backend",
                "task",
                "precision",
                "input",
                "sha256",
                "file_bytes",
                "macs",
                *_TIMED,
                "cold_start",
                "speedup_over_first",
                "stages",
            )
        ),
    ),
    "lvt-bench rewrites": (
        "protocol",
        *(f"steps.*.{key}" for key in ("name", *_TIMED, "speedup_over_first", "speedup_over_last")),
    ),
    "lvt-bench baselines": (
        "protocol",
        *(
            f"models.*.{key}"
            for key in (
                "name",
                "task",
                "size",
                "parameters",
                "macs",
                "paper",
                "remark",
                *_TIMED,
                "speedup_over_lvt",
            )
        ),
    ),
}
"""Command, or command and subcommand, to paths in its JSON; `*` stands for all items of a list."""


def kept_paths(command: Sequence[str]) -> tuple[str, ...]:
    """The paths for a command line; none for commands without JSON, such as pytest."""
    return KEPT.get(" ".join(command[:2])) or KEPT.get(command[0], ())


def keep(content: Any, paths: Sequence[str]) -> Any:
    """The parts of `content` at these paths, at the same places; missing parts are left out."""
    return _keep(content, [path.split(".") for path in paths])


def _keep(content: Any, paths: Sequence[Sequence[str]]) -> Any:
    if any(not path for path in paths):
        return content
    if isinstance(content, list):
        inner = [path[1:] for path in paths if path[0] == "*"]
        return [_keep(item, inner) for item in content]
    if not isinstance(content, dict):
        return content  # such as null where a result has no such part
    result = {}
    for key, value in content.items():
        inner = [path[1:] for path in paths if path[0] == key]
        if inner:
            result[key] = _keep(value, inner)
    return result
