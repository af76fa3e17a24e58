"""ONNX graphs compiled for the NPU (HTP) of Snapdragon phones, for the QNN provider."""
