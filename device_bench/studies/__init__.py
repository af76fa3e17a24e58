"""Benchmarks of more than one model: the paper's baselines, and the effect of each rewrite."""
