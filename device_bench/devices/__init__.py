"""Benchmarks on other devices: Android over adb, and phones in their browser."""
