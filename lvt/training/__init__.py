"""Training of the panoptic model: targets, losses, data, and a resumable loop."""
