"""Failures of an export that the user did not cause: exit code 1."""


class ExportError(Exception):
    """The artifact was not written."""


class ConversionError(ExportError):
    """The converter or the runtime rejects the model."""


class ParityError(ExportError):
    """The written file differs from the reference by more than the tolerance; it was deleted."""


class PlacementError(ExportError):
    """`--strict`: some operators of the file run outside the accelerator."""
