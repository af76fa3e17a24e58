"""The data model of benchmark results, its files, and comparisons of two files.

Imports no model and no runtime: a result file can be read where nothing can be measured.
"""
