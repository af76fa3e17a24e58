"""A fake Android device for tests: adbd's side of the wire protocol, on a folder."""
