"""Benchmarks of ONNX artifacts in browsers: `lvt-bench serve`."""
