"""The command lvt-quantize."""
