"""Estimate on published count tables what the simulator must match, and write it down as numbers.

Reads a folder of count tables (`<dataset>.tsv.gz`: gene, then samples) and its `samples.tsv`
(dataset, sample, series, tissue, cell_type, cell_line, organism), and writes summary numbers only,
to `src/expressome/simulation/data/realism.json`. The figures are defined in
`expressome.simulation.realism`; the tests apply the same functions to simulated counts.

    python scripts/estimate_realism.py ../shared/data/human-bulk-counts
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from expressome.simulation.profiles import load_profiles
from expressome.simulation.realism import (
    REALISM_PATH,
    CountGroup,
    mean_variance_slope,
    measure_realism,
)

# A table with fewer of the profiles' genes was filtered by somebody: its zeros are not all there.
MIN_COMPLETE_GENES = 17_500
MIN_GENES = 5_000


def read_table(path, genes, by_symbol):
    """Give a table as samples x Ensembl id, only the protein-coding genes of the profiles."""
    table = pd.read_csv(path, sep="\t", index_col=0)
    ids = table.index.astype(str)
    if ids.str.startswith("ENSG").mean() > 0.5:
        ids = ids.str.replace(r"\.\d+$", "", regex=True)
    else:
        ids = pd.Index([by_symbol.get(name, "") for name in ids])
    known = ids.isin(genes)
    return table[known].groupby(ids[known]).sum().T


def read_groups(folder):
    """Give one group per table and material, and the tables that could not be used."""
    genes = load_profiles().genes
    unique = genes.symbol[~genes.symbol.duplicated(keep=False)]
    by_symbol = dict(zip(unique, unique.index, strict=True))
    sheet = pd.read_csv(folder / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    groups, unused = [], []
    for dataset, rows in sheet[sheet.organism == "human"].groupby("dataset"):
        counts = read_table(folder / f"{dataset}.tsv.gz", genes.index, by_symbol)
        if counts.shape[1] < MIN_GENES:
            unused.append(dataset)
            continue
        complete = counts.shape[1] >= MIN_COMPLETE_GENES
        ids = counts.columns.to_numpy(str)
        for (tissue, *_), part in rows.groupby(["tissue", "cell_type", "cell_line"]):
            values = counts.loc[part["sample"]].to_numpy(np.float64)
            groups.append(CountGroup(part.series.iloc[0], tissue, values, ids, complete))
    return groups, unused


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    groups, unused = read_groups(folder)
    for group in groups:
        print(
            f"{group.study:12} {group.tissue:12} {len(group.counts):4} samples "
            f"{group.counts.shape[1]:6} genes  slope {mean_variance_slope(group.counts):.2f}"
        )
    for tissue in sorted({group.tissue for group in groups}):
        alone = [group for group in groups if group.tissue == tissue]
        if len({group.study for group in alone}) > 1:
            share = measure_realism(alone).between_study_share
            print(f"{tissue:12} {len(alone)} groups, share between studies {share:.3f}")
    figures = {name: round(value, 4) for name, value in measure_realism(groups).figures().items()}
    content = {
        "about": "Summary numbers of published human bulk RNA-seq counts of protein-coding genes; "
        "defined in expressome.simulation.realism, written by scripts/estimate_realism.py.",
        "n_samples": sum(len(group.counts) for group in groups),
        "n_studies": len({group.study for group in groups}),
        "n_tables_without_usable_ids": len(unused),
        "figures": figures,
    }
    REALISM_PATH.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
