"""What only ONNX files need, beside the target itself."""
