"""The commands lvt-export, lvt-run, lvt-eval and lvt-verify."""
