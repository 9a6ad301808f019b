"""The only room that knows ARCHS4 files."""
