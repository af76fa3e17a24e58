"""Benchmark suites: files that say what is measured, and the records of their runs."""
