"""The labels ARCHS4's site uses: kind, system, parent and ontology term."""

import re
from importlib.resources import files

import pandas as pd

__all__ = ["fold_name", "load_vocabulary"]

_SEPARATORS = re.compile(r"[\s_\-]+")


def fold_name(name: str) -> str:
    """Give the form under which spellings of one label are found.

    Parameters
    ----------
    name
        Label as somebody wrote it.

    Returns
    -------
    str
        Lower case, without blanks, underscores and hyphens.

    Examples
    --------
    >>> fold_name("Bone_Marrow") == fold_name("bone marrow")
    True
    """
    return _SEPARATORS.sub("", name).casefold()


def load_vocabulary() -> pd.DataFrame:
    """Load the shipped table of ARCHS4's site labels.

    Kinds and systems are those of the site. Parents were set by hand where the
    label is by definition a part or a kind of the parent. Ontology terms were
    set by hand and their identifiers checked against the names that curated
    sample tables give them; a label without a checked term has none.

    Returns
    -------
    DataFrame
        Index ``key``: the label as the site writes it. Columns ``name``,
        ``kind`` (tissue or cell_line), ``system``, ``parent`` (a key or empty),
        ``ontology_id`` (UBERON, CL or CLO, or empty), ``ontology_name``,
        ``verified`` (where the identifier was checked) and ``note``.

    References
    ----------
    Lachmann et al. 2018, doi:10.1038/s41467-018-03751-6; Mungall et al. 2012,
    doi:10.1186/gb-2012-13-1-r5 (UBERON); Diehl et al. 2016,
    doi:10.1186/s13326-016-0088-7 (CL)

    Examples
    --------
    >>> load_vocabulary().loc["Hepatocyte", ["kind", "parent", "ontology_id"]].tolist()
    ['tissue', 'Liver', 'CL:0000182']
    """
    source = files("expressome.reference").joinpath("data", "vocabulary.tsv")
    with source.open(encoding="utf-8") as file:
        return pd.read_csv(
            file, sep="\t", dtype=str, keep_default_na=False, index_col="key", quoting=3
        )
