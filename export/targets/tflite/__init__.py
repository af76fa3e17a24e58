"""TFLite files for LiteRT."""
