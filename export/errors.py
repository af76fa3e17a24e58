"""Failures of an export that the user did not cause: exit code 1."""

from lvt.support import signals


class ExportError(Exception):
    """The artifact was not written."""


class ConversionError(ExportError):
    """The converter or the runtime rejects the model."""


class ParityError(ExportError):
    """The written file differs from the reference by more than the tolerance; it was deleted."""


class PlacementError(ExportError):
    """`--strict`: some operators of the file run outside the accelerator."""


def error_reason(error: Exception) -> str:
    """Type and first line of an exception of a converter or a runtime.

    Raises:
        KeyboardInterrupt: a library turned a Ctrl-C into this exception.
    """
    signals.check()
    lines = [line for line in str(error).splitlines() if line.strip()]
    return ": ".join([type(error).__name__, *lines[:1]])
