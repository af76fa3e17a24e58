"""Benchmarks of several models: the paper's baselines, and the effect of each rewrite."""
