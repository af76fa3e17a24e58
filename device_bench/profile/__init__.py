"""Time of each operator, from the runtimes' own profilers.

Models are profiled after the timing and in separate sessions, because a profiler slows the
inference.
"""
