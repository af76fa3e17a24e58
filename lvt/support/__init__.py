"""Code that all commands share and no model needs: options, terminal output, signals, files."""
