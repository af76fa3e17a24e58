"""Core ML without a Mac: writing, evaluating and statically checking ML Programs."""
