"""Draw what was computed; compute nothing."""
