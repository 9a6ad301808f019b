"""From label sources to a multi-hot matrix."""
