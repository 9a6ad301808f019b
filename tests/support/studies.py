"""A small compendium of several studies per tissue, labelled, as file, labels and atlas."""

import numpy as np
import pandas as pd
from scipy import sparse
from tests.support.build import make_archs4

from expressome.annotation.multihot import write_labels
from expressome.pipeline.normalizing import normalize
from expressome.reference.identifiers import load_genes
from expressome.results import LABEL_FIELDS, LabelMatrix


def draw_counts(tissues, studies, n_genes=300, *, seed=0, study_strength=0.5):
    """Draw counts whose genes differ by tissue (20 marker genes each) and by study."""
    rng = np.random.default_rng(seed)
    names, tissue = np.unique(tissues, return_inverse=True)
    _, study = np.unique(studies, return_inverse=True)
    level = rng.normal(3, 2, n_genes)
    markers = np.zeros((len(names), n_genes))
    for k in range(len(names)):
        markers[k, 20 * k : 20 * k + 20] = 3
    shifts = rng.normal(0, study_strength, (study.max() + 1, n_genes))
    log2_mean = level + markers[tissue] + shifts[study]
    log2_mean += rng.normal(0, 0.3, log2_mean.shape)
    return rng.poisson(2 ** np.clip(log2_mean, -3, 14))


def gene_table(n_genes=300):
    """Give real human genes, so that ids map and lengths are known."""
    known = load_genes("human")
    known = known[known.index.str.startswith("ENSG")].head(n_genes)
    symbols = known.get("symbol", known.index)
    return pd.DataFrame(
        {"symbol": np.asarray(symbols, dtype=str), "biotype": "protein_coding"},
        index=pd.Index(known.index.to_numpy(dtype=object), name="gene"),
    )


def make_study_atlas(
    folder,
    tissues,
    studies,
    *,
    labelled=None,
    seed=0,
    parents=None,
    study_strength=0.5,
    extra=None,
    prefix="GSM",
):
    """Write compendium.h5, labels.parquet and atlas.zarr; give the true table."""
    n = len(tissues)
    counts = draw_counts(tissues, studies, seed=seed, study_strength=study_strength)
    if extra is not None:
        counts = extra(counts)
    ids = pd.Index([f"{prefix}{i}" for i in range(n)], name="sample", dtype=object)
    series = [f"GSE{study}" for study in studies]
    samples = pd.DataFrame({"series": series}, index=ids)
    make_archs4(folder / "compendium.h5", counts=counts, samples=samples, genes=gene_table())
    names = sorted(set(tissues) | set((parents or {}).values()))
    table = pd.DataFrame(
        dict.fromkeys(LABEL_FIELDS, ""), index=pd.Index(names, name="key", dtype=object)
    )
    table["name"], table["kind"] = names, "tissue"
    table["parent"] = [(parents or {}).get(name, "") for name in names]
    is_labelled = np.ones(n, bool) if labelled is None else np.asarray(labelled)
    codes = np.searchsorted(names, tissues)
    matrix = sparse.csr_array(
        (
            np.ones(int(is_labelled.sum()), np.uint8),
            (np.flatnonzero(is_labelled), codes[is_labelled]),
        ),
        shape=(n, len(names)),
    )
    write_labels(LabelMatrix(ids, table, matrix), folder / "labels.parquet", {})
    normalize(folder / "compendium.h5", labels=folder / "labels.parquet", out=folder / "atlas.zarr")
    truth = pd.DataFrame({"label": tissues, "series": series}, index=ids)
    return truth, counts
