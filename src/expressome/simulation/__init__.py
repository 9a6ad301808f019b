"""A realistic compendium whose truth is known."""
