"""How much of the variance of real counts is study, label and depth.

Once under quantile normalisation and once under plain counts per million, which shows what the
former removes.

The counts are those of classifying.py: published tables, packed with the genes common to all.
The atlas is made by the public commands; the figures are those of `expressome report`. Depth is
the sum of the counts. Run from the checkout:

    python benchmarks/batch_effects.py --data ../shared/data/human-bulk-counts
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd
from classifying import pack_real

import expressome
from expressome.pipeline.describing import collect_content

RECIPES = ("log2-quantile-length", "log2-cpm")


def add_depth(data, folder):
    """Pack again with the sum of each sample's counts as its depth; the tables state none."""
    depth = expressome.open_archs4(folder / "real.h5").counts().sum(axis=1, dtype="int64")
    sheet = pd.read_csv(folder / "sheet.tsv", sep="\t", dtype=str, keep_default_na=False)
    sheet.assign(alignedreads=depth).to_csv(folder / "sheet.tsv", sep="\t", index=False)
    names = pd.read_csv(data / "samples.tsv", sep="\t", dtype=str).set_index("sample")["dataset"]
    tables = [data / f"{name}.tsv.gz" for name in names[sheet["sample"]].unique()]
    expressome.pack(
        tables,
        samples=folder / "sheet.tsv",
        out=folder / "real.h5",
        species="human",
        overwrite=True,
    )


def build_atlas(folder, samples, recipe):
    """Label all samples by their tissue and normalise them."""
    listed = pd.DataFrame({"sample": samples.index, "label": samples["tissue"], "kind": "tissue"})
    listed.to_csv(folder / "lists.tsv", sep="\t", index=False)
    labels = folder / "labels.parquet"
    expressome.annotate(folder / "real.h5", folder / "lists.tsv", out=labels, overwrite=True)
    out = folder / "atlas.zarr"
    expressome.normalize(folder / "real.h5", labels=labels, recipe=recipe, out=out, overwrite=True)
    return expressome.open_atlas(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/human-bulk-counts"))
    parser.add_argument("--recipe", nargs="+", default=list(RECIPES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        samples = pack_real(arguments.data, folder)
        add_depth(arguments.data, folder)
        for recipe in arguments.recipe:
            atlas = build_atlas(folder, samples, recipe)
            found = collect_content(atlas, resources=expressome.Resources(seed=0)).batch
            print(
                f"\n{recipe}: {found.n_samples} samples, {found.n_studies} studies, "
                f"{found.n_genes} genes"
            )
            table = found.table.copy()
            table.loc["average"] = pd.Series(dict(found.overall))
            print(table.round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
