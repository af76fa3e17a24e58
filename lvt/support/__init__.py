"""What every command needs and no model does: console, signals, files, validation."""
