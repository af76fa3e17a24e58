"""Lite Vision Transformer: the reference models and everything that surrounds them."""
