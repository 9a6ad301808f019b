"""Measure how informative genes are."""
