"""Real, small ARCHS4 files of every layout, written with plain h5py."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd

LAYOUTS = ("v1", "v9", "v2.1", "v2.2", "v2.6", "transcript", "tpm")

# Layout -> (name of the Ensembl field, names of the symbol field, version text).
_GENE_FIELDS = {
    "v1": ("gene_ensemblid", ("genes",), "7"),
    "v9": ("ensembl_gene_id", ("gene_symbol", "genes"), "9"),
    "v2.1": ("ensembl_gene_id", ("gene_symbol",), "2.1"),
    "v2.2": ("ensembl_gene_id", ("symbol",), "2.2"),
    "v2.6": ("ensembl_gene", ("symbol",), "2.6"),
    "transcript": ("ensembl_id", (), "2.6"),
    "tpm": ("ensembl_id", (), "2.6"),
}
_READS = {
    "v1": "reads_aligned",
    "v9": "readsaligned",
    "v2.1": "readsaligned",
    "v2.2": "readsaligned",
}


def make_samples(n_samples, species="human"):
    """Samples GSM1.. in series of three, as the canonical columns."""
    numbers = np.arange(1, n_samples + 1)
    return pd.DataFrame(
        {
            "series": [f"GSE{1 + i // 3}" for i in range(n_samples)],
            "title": [f"sample {i}" for i in numbers],
            "source": [("liver", "brain", "lung")[i % 3] for i in range(n_samples)],
            "characteristics": [
                f"tissue: {('liver', 'brain', 'lung')[i % 3]}" for i in range(n_samples)
            ],
            "platform": "GPL16791",
            "aligned_reads": 1e6 * numbers,
            "single_cell_probability": numbers / (10.0 * n_samples),
            "organism_ch1": {"human": "Homo sapiens", "mouse": "Mus musculus"}[species],
        },
        index=pd.Index([f"GSM{i}" for i in numbers], name="sample", dtype=object),
    )


def make_genes(n_genes, species="human", level="gene"):
    """Genes with made-up but well-formed Ensembl ids."""
    stem = {"human": "ENS", "mouse": "ENSMUS"}[species] + ("T" if level == "transcript" else "G")
    return pd.DataFrame(
        {
            "symbol": [f"GENE{g}" for g in range(n_genes)],
            "biotype": ["protein_coding" if g % 3 else "lncRNA" for g in range(n_genes)],
        },
        index=pd.Index([f"{stem}{g + 1:011d}" for g in range(n_genes)], name="gene", dtype=object),
    )


def make_counts(n_samples, n_genes, seed=0):
    """Counts with many zeros and some large values, samples x genes."""
    rng = np.random.default_rng(seed)
    means = rng.gamma(0.4, 200.0, size=n_genes)
    return rng.poisson(means * rng.uniform(0.5, 2.0, size=(n_samples, 1))).astype(np.int64)


def make_archs4(
    path,
    n_samples=6,
    n_genes=8,
    layout="v2.6",
    *,
    species="human",
    seed=0,
    counts=None,
    samples=None,
    genes=None,
    chunks=None,
    dtype=None,
    compression="gzip",
    shuffle=False,
    fixed_strings=False,
    info=True,
):
    """Write a file of one layout; `counts` is samples x genes, tables as the reader gives them.

    `samples` and `genes` use canonical column names. `chunks` is in the order of
    the stored axes; "contiguous" stores the matrix in one piece, uncompressed.
    Fields that the tables lack are left out.
    """
    level = "transcript" if layout in {"transcript", "tpm"} else "gene"
    if counts is not None:
        n_samples, n_genes = np.shape(counts)
    samples = (
        make_samples(n_samples if samples is None else len(samples), species)
        if samples is None
        else samples
    )
    genes = make_genes(n_genes, species, level) if genes is None else genes
    counts = make_counts(len(samples), len(genes), seed) if counts is None else np.asarray(counts)
    default = {"v1": "i4", "v9": "i4", "v2.1": "i4", "tpm": "f4"}.get(layout, "u4")
    matrix = counts.astype(dtype or default)
    with h5py.File(path, "w") as file:
        _write_matrix(file, matrix if layout == "v1" else matrix.T, chunks, compression, shuffle)
        _write_samples(file, samples, layout, fixed_strings)
        _write_genes(file, genes, layout, fixed_strings)
        if info:
            where = "info" if layout == "v1" else "meta/info"
            file[f"{where}/version"] = [_GENE_FIELDS[layout][2]]
            file[f"{where}/author"] = ["made for tests"]
    return Path(path)


def _write_matrix(file, matrix, chunks, compression, shuffle):
    if chunks == "contiguous":
        file.create_dataset("data/expression", data=matrix)
        return
    wanted = chunks or (200, 200)
    fitted = tuple(max(1, min(a, b)) for a, b in zip(wanted, matrix.shape, strict=True))
    options = {"compression": compression} if compression else {}
    file.create_dataset("data/expression", data=matrix, chunks=fitted, shuffle=shuffle, **options)


def _write_samples(file, samples, layout, fixed_strings):
    stored = {
        "series": "series_id",
        "source": "source_name_ch1",
        "characteristics": "characteristics_ch1",
        "platform": "platform_id",
        "aligned_reads": _READS.get(layout, "alignedreads"),
        "single_cell_probability": "singlecellprobability",
    }
    prefix = "meta/Sample_" if layout == "v1" else "meta/samples/"
    _write_field(file, f"{prefix}geo_accession", samples.index, fixed_strings)
    for column in samples.columns:
        name = stored.get(column, column)
        place = f"meta/{name}" if name == "reads_aligned" else prefix + name
        _write_field(file, place, samples[column], fixed_strings)


def _write_genes(file, genes, layout, fixed_strings):
    ensembl, symbols, _ = _GENE_FIELDS[layout]
    if layout == "v1":
        prefix = "meta/"
    else:
        prefix = "meta/transcripts/" if layout in {"transcript", "tpm"} else "meta/genes/"
    ids = ["NA" if str(key).startswith("symbol:") else key for key in genes.index]
    _write_field(file, prefix + ensembl, pd.Series(ids, dtype=object), fixed_strings)
    for name in symbols:
        _write_field(file, prefix + name, genes["symbol"], fixed_strings)
    for column in genes.columns:
        if column != "symbol":
            name = column if layout == "v2.6" or column != "biotype" else "gene_biotype"
            _write_field(file, prefix + name, genes[column], fixed_strings)


def _write_field(file, place, values, fixed_strings):
    values = pd.Series(values)
    if values.dtype.kind in "iuf":
        file[place] = values.to_numpy()
        return
    texts = [item if isinstance(item, bytes) else str(item).encode() for item in values]
    file[place] = np.array(texts, dtype="S" if fixed_strings else h5py.string_dtype())
