"""Artifacts on emulated ARM processors: the kernels that phones run, without a phone."""
