"""Task metrics of artifacts and of the reference on labelled pictures."""
