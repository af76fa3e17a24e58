"""Benchmarks on other devices: Android over adb, and browsers."""
