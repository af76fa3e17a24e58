"""Lite Vision Transformer: the reference models and everything that surrounds them."""

import os

# ONNX Runtime's telemetry writes into the user's home and starts a thread when the library loads.
# Set here because every package of ours imports this one first, and child processes inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# For transformers, of `lvt-bench baselines`: its models are built from configurations of ours.
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
