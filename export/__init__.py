"""From the reference model to files that run elsewhere, each proved in its own runtime."""
