"""A small Android device for tests: adbd's side of the wire protocol, over a folder."""
