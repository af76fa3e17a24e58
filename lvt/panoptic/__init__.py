"""Panoptic segmentation: the LVT with a Panoptic FPN (section 4.3)."""
