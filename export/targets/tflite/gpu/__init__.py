"""LiteRT's GPU accelerator, always in a process of its own: it may crash, and its log is read."""
