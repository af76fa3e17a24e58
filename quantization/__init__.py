"""int8 versions of exported models: calibrated, searched, and measured in their runtimes."""

import lvt  # noqa: F401  # switches telemetry off before any runtime loads
