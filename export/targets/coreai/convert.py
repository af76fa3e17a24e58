"""PyTorch to a Core AI asset through coreai-torch."""

from __future__ import annotations

import copy
from pathlib import Path

import coreai_torch
import torch
from coreai.runtime import AIModelAssetMetadata
from torch import Tensor, nn

from export.converter_speed import faster_conversion
from export.targets import ConversionInput
from export.targets.coreai.silence_output import silence_output


class Float16Model(nn.Module):
    """Computes a model in float16, with float32 inputs and float32 outputs.

    Args:
        model: copied, so that the original keeps its precision.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = copy.deepcopy(model).half()
        self.eval()

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs = self.model(*(tensor.half() for tensor in inputs))
        if isinstance(outputs, Tensor):
            return outputs.float()
        return tuple(output.float() for output in outputs)


@faster_conversion()
def convert(conversion: ConversionInput, path: Path) -> None:
    """Writes an .aimodel folder."""
    half = conversion.precision == "fp16"
    converter = coreai_torch.TorchConverter()
    for entry in conversion.entry_points:
        model = Float16Model(entry.module) if half else entry.module
        program = torch.export.export(model, entry.example_inputs())
        program = program.run_decompositions(coreai_torch.get_decomp_table())
        converter = converter.add_exported_program(
            program,
            input_names=[info.name for info in entry.inputs],
            output_names=entry.output_names,
            entrypoint_name=entry.name,
        )
    metadata = AIModelAssetMetadata()
    for key, value in conversion.metadata.items():
        metadata.set_custom(key, value)
    with silence_output():
        converter.to_coreai().save_asset(path, metadata)
