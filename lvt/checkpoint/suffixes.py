"""How checkpoint files are named. Files are read by their content, so this is for messages only."""

CHECKPOINT_SUFFIXES = (".pth", ".pt", ".tar", ".ckpt", ".safetensors")
