"""My own counts on the compendium's scale: which tissue they are, and what lies nearest.

`mine.tsv` is a table of raw counts, genes x samples, with Ensembl ids, symbols or Entrez ids.
If there is none, three samples of the demo take its place, sequenced a quarter as deep.
"""

# %%
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

import expressome

if not Path("demo/report.html").exists():
    expressome.demo(out="demo")
atlas = expressome.open_atlas("demo/atlas.zarr")

# %% [markdown]
# A stand-in for people's own table. These samples are in the atlas, and the model has seen
# them: this shows how it is done, and tests nothing.

# %%
if not Path("mine.tsv").exists():
    compendium = expressome.open_archs4("demo/compendium.h5")
    liver = compendium.samples.index[compendium.samples["source"] == "liver"][:3]
    counts = compendium.counts(samples=list(liver))
    fewer = np.random.default_rng(0).binomial(counts, 0.25)
    names = [f"mine {i + 1}" for i in range(len(liver))]
    pd.DataFrame(fewer.T, index=compendium.genes.index, columns=names).to_csv("mine.tsv", sep="\t")
mine = pd.read_csv("mine.tsv", sep="\t", index_col=0)

# %% [markdown]
# What is it? Read `unknown` and `reason` first: they say when not to trust the label.

# %%
answers = expressome.load_model("demo/model").predict(mine)
print(answers[["sample", "label", "confidence", "unknown", "reason"]].to_string(index=False))

# %% [markdown]
# The atlas's own scale, by its frozen target and gene lengths: each sample by itself, so a table
# of one sample does as well. Genes that the atlas does not know are left out.

# %%
counts = anndata.AnnData(mine.T.astype(np.float32))
expressome.normalize_anndata(counts, atlas)
counts = counts[:, counts.var["in_target"]]
print(f"{counts.n_vars:,} of the atlas's {atlas.n_genes:,} genes are in the table")

# %% [markdown]
# Nearest samples by cosine similarity over those genes. Blocks keep memory bounded, whatever
# the size of the atlas.

# %%
unit = counts.X / np.linalg.norm(counts.X, axis=1, keepdims=True)
likeness = np.empty((atlas.n_samples, counts.n_obs), np.float32)
for span, block in atlas.blocks(genes=counts.var_names, resources=expressome.Resources()):
    known = np.nan_to_num(block)
    likeness[span] = known @ unit.T / np.linalg.norm(known, axis=1, keepdims=True)
for i, name in enumerate(counts.obs_names):
    best = likeness[:, i].argmax()
    title = atlas.obs["title"].iloc[best]
    print(f"{name}: nearest {atlas.obs.index[best]} ({likeness[best, i]:.3f}), {title}")
