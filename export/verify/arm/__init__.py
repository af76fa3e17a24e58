"""Runs artifacts on emulated phone processors: the kernels of phones, without a phone."""
