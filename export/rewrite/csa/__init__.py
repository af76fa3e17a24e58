"""Rewrites of convolutional self-attention (CSA) and Outlook Attention, one file a recipe."""
