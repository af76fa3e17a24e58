"""ONNX artifacts timed in any phone's browser: `lvt-bench serve`."""
