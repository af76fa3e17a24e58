"""ONNX files for ONNX Runtime on the CPU."""
