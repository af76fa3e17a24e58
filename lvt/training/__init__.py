"""Training of the panoptic model: target assignment, losses, data, and a resumable loop."""
