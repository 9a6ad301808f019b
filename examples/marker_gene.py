"""A marker gene across labels: where it is high, and whether every study says so.

Set `SYMBOL` to another gene, or the path to your own atlas.
"""

# %%
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go

import expressome

SYMBOL = "ALB"
if not Path("demo/report.html").exists():
    expressome.demo(out="demo")
atlas = expressome.open_atlas("demo/atlas.zarr")

# %% [markdown]
# One gene of all samples: only the chunks that hold it are read.

# %%
gene = atlas.var.index[atlas.var["symbol"] == SYMBOL][0]
values = atlas.read(genes=[gene])[:, 0]
print(atlas.var.loc[gene, ["symbol", "biotype", "length_bp", "p95", "p95_ratio", "mean_cosine"]])

# %% [markdown]
# One row per sample and label. Samples of one study resemble each other, so the study's mean,
# not the sample, is what is counted: `studies` is how much the label really rests on.

# %%
matrix = atlas.labels.matrix.tocoo()
rows = pd.DataFrame(
    {
        "label": np.array(atlas.labels.keys)[matrix.col],
        "study": atlas.obs["study"].to_numpy()[matrix.row],
        "value": values[matrix.row],
    }
).dropna()
by_study = rows.groupby(["label", "study"], as_index=False)["value"].mean()
table = by_study.groupby("label")["value"].agg(["median", "min", "max", "size"])
table = table.rename(columns={"size": "studies"}).sort_values("median", ascending=False)
print(table.head(10).round(3).to_string())

# %% [markdown]
# A marker is higher in every study of its label than in any study of another one. Related
# labels (a tissue and its parts or its cell lines) may share it.

# %%
first, others = table.index[0], table.iloc[1:]
lowest, highest = table.loc[first, "min"], others["max"].max()
print(f"lowest study of {first}: {lowest:.2f}; highest of another label: {highest:.2f}", end=" ")
print(f"({others['max'].idxmax()})", "- a marker" if lowest > highest else "- not in every study")

# %%
shown = table.index[:15][::-1]
figure = go.Figure(
    [go.Box(x=rows.loc[rows["label"] == key, "value"], name=key, orientation="h") for key in shown]
)
figure.update_layout(showlegend=False, xaxis_title=f"{SYMBOL}, {atlas.recipe}", height=520)
Path("figures").mkdir(exist_ok=True)
figure.write_html(f"figures/{SYMBOL}.html", include_plotlyjs=True)
