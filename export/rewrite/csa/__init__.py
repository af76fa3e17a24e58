"""Convolutional self-attention, one file for each recipe."""
