"""Exports the reference model to files that run on phones, and verifies each in its own runtime.

`export_artifact` writes an artifact, `open_artifact` opens one:

    from export import ExportRequest, export_artifact, open_artifact

    result = export_artifact(ExportRequest("onnx", checkpoint="demo", out="out"))
    prediction = open_artifact(result.path).predict("photo.jpg")
"""

from typing import TYPE_CHECKING

import lvt  # noqa: F401  # switches telemetry off before any runtime loads
from lvt.support.lazy import lazy_attributes

if TYPE_CHECKING:
    from export.artifact.reader import Artifact, open_artifact
    from export.pipeline import ExportResult, export_artifact
    from export.plan import ExportRequest

__all__ = ["Artifact", "ExportRequest", "ExportResult", "export_artifact", "open_artifact"]

__getattr__ = lazy_attributes(
    __name__,
    {
        "Artifact": "export.artifact.reader",
        "ExportRequest": "export.plan",
        "ExportResult": "export.pipeline",
        "export_artifact": "export.pipeline",
        "open_artifact": "export.artifact.reader",
    },
)
