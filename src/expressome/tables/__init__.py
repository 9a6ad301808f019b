"""People's count tables: TSV, CSV, Parquet and h5ad, checked at the border."""

from expressome.tables.reading import CountTable, read_counts

__all__ = ["CountTable", "read_counts"]
