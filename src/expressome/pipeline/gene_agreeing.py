"""Whether the Ensembl ids and the symbols of a file are of the same rows."""

import math
import warnings

import numpy as np
import pandas as pd

from expressome.archs4.reader import Compendium
from expressome.errors import IdentifierWarning
from expressome.reference.identifiers import load_identifiers

__all__ = ["measure_agreement", "warn_of_disagreement"]

# Enough for a share to a few per cent; all 67,000 genes would take a second.
_N_LOOKED_AT = 2000
# With fewer rows that the shipped table can judge, a share means nothing: made-up
# symbols are now and then some gene's synonym.
_FEWEST_JUDGED, _LOWEST_JUDGED = 20, 0.5
# Annotations of other years agree in more than nine of ten genes.
_LOWEST_SHARE = 0.5


def measure_agreement(compendium: Compendium) -> float | None:
    """Tell in what share of genes the Ensembl id and the symbol mean one gene.

    Parameters
    ----------
    compendium
        The file.

    Returns
    -------
    float or None
        Share of the rows that the shipped id table can judge, among at most 2,000
        evenly spread genes; None for transcripts, unknown species and files in
        which fewer than 20, or less than half, of these rows have a symbol it knows.
    """
    if compendium.level != "gene" or not compendium.species:
        return None
    genes = compendium.genes
    is_ensembl = genes.index.astype(str).str.startswith("ENS") & (genes["symbol"] != "").to_numpy()
    rows = np.flatnonzero(is_ensembl)
    rows = rows[:: max(1, math.ceil(len(rows) / _N_LOOKED_AT))]
    table = load_identifiers(compendium.species)
    symbols = genes["symbol"].iloc[rows]
    is_known = table.map(symbols).genes != ""
    if int(is_known.sum()) < max(_FEWEST_JUDGED, _LOWEST_JUDGED * len(rows)):
        return None
    share = table.share_agreeing(genes.index[rows][is_known], pd.Series(symbols)[is_known])
    return None if math.isnan(share) else share


def warn_of_disagreement(compendium: Compendium) -> None:
    """Warn where the counts may not belong to the Ensembl ids beside them.

    Parameters
    ----------
    compendium
        The file; its keys stay as they are.

    Warns
    -----
    IdentifierWarning
        If Ensembl id and symbol mean one gene in less than half of the rows.
    """
    share = measure_agreement(compendium)
    if share is None or share >= _LOWEST_SHARE:
        return
    msg = (
        f"in {compendium.path.name} the Ensembl id and the symbol of a row mean the same gene in "
        f"only {share:.0%} of the genes compared (at most {_N_LOOKED_AT:,}, spread over its "
        f"{compendium.n_genes:,}): the two columns are not of the same rows. The Ensembl ids are "
        "used as the file has them, and the counts may be other genes'; check a gene you know, "
        "or pack the counts again by symbol"
    )
    warnings.warn(msg, IdentifierWarning, stacklevel=3)
