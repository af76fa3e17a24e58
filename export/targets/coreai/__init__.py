"""Core AI assets: running them on the CPU, and what keeps them off the Neural Engine."""
