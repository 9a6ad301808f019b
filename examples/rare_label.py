"""More samples of a rare label, and how close they are to real ones.

Synthetic samples add no information that the training samples do not hold. They are good for
looking at a rare label, for testing tools, and for training where they help - which is measured
on validation studies by `expressome train --augment auto`, and may be nowhere.
"""

# %%
from pathlib import Path

import anndata
import pandas as pd

import expressome

METHOD = "study-effects"  # quick, and works from one sample; "gan" is the generator
if not Path("demo/report.html").exists():
    expressome.demo(out="demo")
atlas = expressome.open_atlas("demo/atlas.zarr")

# %% [markdown]
# The rarest label that at least 20 training samples carry. Below 20, fidelity has no samples
# held back to be compared with, and says so.

# %%
is_training = (atlas.obs["split"] == "train").to_numpy()
n_training = pd.Series(
    atlas.labels.matrix[is_training].astype(int).sum(axis=0), index=atlas.labels.keys
)
enough = n_training[n_training >= 20]
label = enough.idxmin() if len(enough) else n_training.idxmax()
print(f"{label}: {n_training[label]} training samples")

# %%
made = expressome.augment(
    "demo/atlas.zarr", labels=label, n_samples=50, method=METHOD, out="rare.h5ad", overwrite=True
)

# %% [markdown]
# Every figure stands between a floor (genes drawn one by one: noise) and a ceiling (real
# samples against other real samples). A value means something only beside these two. This
# method is made to teach a classifier what studies do, not to look real: expect low places.

# %%
fidelity = pd.DataFrame(made.figures["fidelity"][METHOD]).T
print(fidelity[["value", "ceiling", "floor"]].round(3).to_string())

# %% [markdown]
# The samples say that they are synthetic, wherever they go.

# %%
synthetic = anndata.read_h5ad("rare.h5ad")
print(synthetic.obs[["label", "synthetic", "method"]].value_counts().to_string())
