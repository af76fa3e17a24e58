"""An artifact: a model file and its manifest."""
