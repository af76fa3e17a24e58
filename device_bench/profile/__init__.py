"""Where an inference's time goes, operator by operator, as each runtime's own profiler tells it.

Apart from the timing: in sessions of its own, afterwards, because a profiler slows what it watches.
"""
