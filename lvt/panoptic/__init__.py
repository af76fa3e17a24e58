"""Panoptic segmentation: LVT with a Panoptic FPN (section 4.3)."""
