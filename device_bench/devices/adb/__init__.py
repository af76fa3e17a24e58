"""Benchmarks on Android devices over adb: the demo app, or the runtimes' own command-line tools."""
