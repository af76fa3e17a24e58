"""Benchmarks on Android devices over adb, in the demo app or in the runtimes' own tools."""
