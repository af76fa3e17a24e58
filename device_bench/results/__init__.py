"""Benchmark results: the data model, files, comparison."""
