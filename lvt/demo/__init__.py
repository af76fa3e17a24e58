"""Procedural demonstration data: pictures with exact panoptic ground truth."""
