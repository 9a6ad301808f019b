"""Label samples and say how sure that is."""
