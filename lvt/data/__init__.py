"""Pictures, preprocessing, labels, data sets and metrics; the packaged photos and class names."""
