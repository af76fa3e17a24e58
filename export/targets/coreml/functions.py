"""Packages with several functions, one for each entry point of a model in parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.targets.coreml.loader import model_path, read_model
from export.targets.coreml.suppress_warnings import import_coremltools, suppress_warnings
from export.targets.coreml.torch_export import skip_program_validation


def combine(packages: Mapping[str, Path], path: Path) -> None:
    """Writes one package with the functions of several; equal weights are stored once.

    Args:
        packages: packages of one function, by the name that it gets. The first is the default.
        path: the package to write.
    """
    ct = import_coremltools()
    with suppress_warnings(), skip_program_validation():
        description = ct.utils.MultiFunctionDescriptor()
        for name, package in packages.items():
            description.add_function(
                str(package), src_function_name="main", target_function_name=name
            )
        description.default_function_name = next(iter(packages))
        ct.utils.save_multifunction(description, str(path))
    _copy_metadata(next(iter(packages.values())), path)


def _copy_metadata(source: Path, path: Path) -> None:
    """coremltools drops the metadata of the packages that it combines."""
    model: Any = read_model(path)
    model.description.metadata.CopyFrom(read_model(source).description.metadata)
    model_path(path).write_bytes(model.SerializeToString())
