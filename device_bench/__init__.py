"""Latency, memory and throughput of artifacts, measured so that the figures can be trusted."""

import lvt  # noqa: F401  # switches telemetry off before any runtime loads
