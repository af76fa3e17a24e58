"""Latency, memory and throughput of artifacts, measured so that the figures can be trusted."""
