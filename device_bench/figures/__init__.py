"""Writes the figures of README and docs from the records of benchmark suites.

`python -m device_bench.figures` (`make figures`) writes the pages; nothing here measures.
"""
