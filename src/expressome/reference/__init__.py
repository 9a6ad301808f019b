"""Genes and labels as the field names them: annotation, lengths, identifiers, vocabulary."""
