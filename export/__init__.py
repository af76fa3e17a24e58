"""From the reference model to files that run elsewhere, each proved in its own runtime."""

import lvt  # noqa: F401  # switches telemetry off before any runtime loads
