"""ExecuTorch with XNNPACK. `program` and `placement` also serve the Core ML delegate."""
