"""Core AI assets: written by coreai-torch, run on the CPU, and checked for the Neural Engine."""
