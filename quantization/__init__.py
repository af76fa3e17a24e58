"""int8 versions of exported models: calibrated, searched, and measured in their runtimes."""
