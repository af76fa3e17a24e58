"""The commands of `lvt-bench`."""
