"""Core ML without a Mac: reads an ML Program back, computes it, and says what keeps it off the
Neural Engine."""
