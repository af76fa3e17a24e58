"""Lite Vision Transformer: the reference models, their checkpoints, data sets and training."""

import os

# ONNX Runtime's telemetry writes to the user's home and starts a thread when the library is loaded.
# All packages of lvt-mobile import this one first, and child processes inherit the environment.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# For transformers, which `lvt-bench baselines` uses without downloading anything.
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
