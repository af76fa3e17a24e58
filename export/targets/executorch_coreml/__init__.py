"""ExecuTorch with the Core ML delegate."""
