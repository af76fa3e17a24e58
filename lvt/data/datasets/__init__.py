"""Data sets of labelled pictures, in the folder layouts that are in common use."""
