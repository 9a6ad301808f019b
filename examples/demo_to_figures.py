"""From the demo's atlas to figures in a notebook.

The demo is simulated: 2,400 samples of 150 studies. For your own data, put the paths of your
atlas and model in place of the demo's.
"""

# %% [markdown]
# The atlas. `expressome demo` makes it in about three minutes; later runs find it done.

# %%
from pathlib import Path

import expressome
from expressome.pipeline.describing import collect_content
from expressome.reporting import figures

if not Path("demo/report.html").exists():
    expressome.demo(out="demo")
atlas = expressome.open_atlas("demo/atlas.zarr")
print(f"{atlas.n_samples:,} samples x {atlas.n_genes:,} genes, {atlas.labels.n_labels} labels")

# %% [markdown]
# Every figure of the report is a function that returns a plotly figure. `collect_content`
# computes what they show; the seed chooses the samples of the map.

# %%
content = collect_content(atlas, model=Path("demo/model"), resources=expressome.Resources(seed=0))
drawn = {
    "labels": figures.draw_label_counts(content.samples.labels),
    "map": figures.draw_plane(content.samples.plane, content.samples.explained),
    "genes": figures.draw_gene_plane(content.genes.density, content.genes.table.head(60)),
    "reliability": figures.draw_reliability(content.classification.reliability),
}

# %% [markdown]
# In a notebook, the name of a figure on the last line of a cell shows it. Here they are written
# to files: `include_plotlyjs=True` puts plotly inside, so that they open without a network.

# %%
Path("figures").mkdir(exist_ok=True)
for name, figure in drawn.items():
    figure.write_html(f"figures/{name}.html", include_plotlyjs=True)

# %% [markdown]
# Genes that are high in one kind of sample: strong at their upper end (`p95_ratio`) and alike
# there (`mean_cosine` near 1). Genes seen in less than half of those samples have no rank.

# %%
genes = content.genes.table
ranked = genes.dropna(subset=["rank_p95_ratio", "rank_mean_cosine"])
both = (ranked["rank_p95_ratio"] + ranked["rank_mean_cosine"]).sort_values(kind="stable")
print(ranked.loc[both.index[:10], ["symbol", "p95_ratio", "mean_cosine"]].to_string())
