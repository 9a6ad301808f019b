"""AnnData objects on a compendium's scale."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.support.build import make_archs4, make_counts, make_genes

import expressome
from expressome.errors import (
    FractionalCountsWarning,
    IdentifierError,
    InvalidCountsError,
    InvalidValueError,
    LeftOutWarning,
    MissingFieldError,
    MissingGenesWarning,
    ScaleMismatchError,
    ShapeError,
)
from expressome.normalization.recipe import Normalizer
from expressome.reference.identifiers import load_genes
from expressome.reference.lengths import load_lengths

N_SAMPLES, N_GENES = 300, 80


def human_genes():
    known = load_genes("human")
    lengths = load_lengths("human").index
    return known[known.index.isin(lengths) & ~known["symbol"].duplicated(keep=False)].head(N_GENES)


@pytest.fixture(scope="module")
def genes():
    return human_genes()


@pytest.fixture(scope="module")
def counts():
    return make_counts(N_SAMPLES, N_GENES, seed=8)


@pytest.fixture
def target(counts, genes):
    return expressome.fit_target(counts[:100], genes=list(genes.index))


def make_object(matrix, names):
    return anndata.AnnData(
        matrix,
        obs=pd.DataFrame(index=[f"s{i}" for i in range(matrix.shape[0])]),
        var=pd.DataFrame(index=list(names)),
    )


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix], ids=str)
@pytest.mark.parametrize("names", ["ids", "versions", "symbols"])
def test_equals_apply_target_for_any_form_and_ids(counts, genes, target, form, names):
    written = {
        "ids": genes.index,
        "versions": [f"{gene}.{3 + i}" for i, gene in enumerate(genes.index)],
        "symbols": genes["symbol"],
    }[names]
    order = np.random.default_rng(0).permutation(N_GENES)
    mine = make_object(form(counts[:, order].astype(np.float32)), np.asarray(written)[order])

    assert expressome.normalize_anndata(mine, target) is None

    expected = expressome.apply_target(counts, target)[:, order]
    np.testing.assert_array_equal(mine.X, expected)
    assert mine.var["in_target"].all()
    assert mine.uns["expressome_normalization"]["target_n_samples"] == 100


def test_layers_in_and_out_leave_x_alone(counts, genes, target, tmp_path):
    mine = make_object(np.zeros(counts.shape), genes.index)
    mine.layers["counts"] = sparse.csr_matrix(counts)
    expressome.save_target(target, tmp_path / "t.npz")

    found = expressome.normalize_anndata(
        mine, tmp_path / "t.npz", layer="counts", to_layer="scaled", copy=True
    )

    assert "scaled" not in mine.layers
    assert not found.X.any()
    np.testing.assert_array_equal(found.layers["scaled"], expressome.apply_target(counts, target))
    assert found.uns["expressome_normalization"]["target"].endswith("t.npz")
    found.write_h5ad(tmp_path / "f.h5ad")
    again = anndata.read_h5ad(tmp_path / "f.h5ad").uns["expressome_normalization"]
    assert again["from_layer"] == "counts"


def test_an_atlas_gives_its_whole_recipe(counts, genes, tmp_path):
    table = make_genes(N_GENES).set_index(pd.Index(genes.index, name="gene", dtype=object))
    make_archs4(tmp_path / "x.h5", counts=counts, genes=table)
    expressome.normalize(tmp_path / "x.h5", out=tmp_path / "a.zarr")
    atlas = expressome.open_atlas(tmp_path / "a.zarr")
    mine = make_object(counts[:7], genes.index)

    by_path = expressome.normalize_anndata(mine, tmp_path / "a.zarr", copy=True)
    by_atlas = expressome.normalize_anndata(mine, atlas, copy=True)

    np.testing.assert_array_equal(by_path.X, atlas.read(slice(0, 7)))
    np.testing.assert_array_equal(by_atlas.X, by_path.X)
    assert by_path.uns["expressome_normalization"]["recipe"] == "log2-quantile-length"


def test_other_gene_sets_are_interpolated_and_flagged(counts, genes, target):
    kept = np.arange(0, 70)
    matrix = np.hstack([counts[:, kept], counts[:, :1]])
    mine = make_object(matrix, [*genes.index[kept], "ENSG99999999999"])

    with (
        pytest.warns(MissingGenesWarning, match="lacks 10 of the target's 80 genes"),
        pytest.warns(LeftOutWarning, match="1 of 71 genes are not among the target's"),
    ):
        expressome.normalize_anndata(mine, target)

    normalizer = Normalizer("log2-quantile", tuple(genes.index), target)
    expected = normalizer.apply(counts[:, kept], genes=list(genes.index[kept]))[:, kept]
    np.testing.assert_array_equal(mine.X[:, :70], expected)
    assert np.isnan(mine.X[:, 70]).all()
    assert mine.var["in_target"].tolist() == [True] * 70 + [False]


def test_columns_of_one_gene_are_summed(counts, genes, target):
    half = counts[:, :1] // 2
    matrix = np.hstack([half, counts[:, 1:], counts[:, :1] - half])
    mine = make_object(matrix, [*genes.index, f"{genes.index[0]}.7"])

    expressome.normalize_anndata(mine, target)

    expected = expressome.apply_target(counts, target)
    np.testing.assert_array_equal(mine.X[:, :N_GENES], expected)
    np.testing.assert_array_equal(mine.X[:, N_GENES], expected[:, 0])


def test_unmeasured_stays_nan(counts, genes, target):
    matrix = counts.astype(float)
    matrix[3, :20] = np.nan
    mine = make_object(matrix, genes.index)

    expressome.normalize_anndata(mine, target)

    np.testing.assert_array_equal(np.isnan(mine.X), np.isnan(matrix))
    np.testing.assert_array_equal(mine.X, expressome.apply_target(matrix, target))


def test_estimated_counts_are_rounded(counts, genes, target):
    mine = make_object(counts + 0.25 * (np.arange(N_GENES) == 3), genes.index)

    with pytest.warns(FractionalCountsWarning, match="300 of 24000 estimated counts"):
        expressome.normalize_anndata(mine, target)

    np.testing.assert_array_equal(mine.X, expressome.apply_target(counts, target))


def test_wrong_input_is_refused_and_leaves_the_object(counts, genes, target):
    mine = make_object(counts.astype(float), genes.index)
    mouse = make_object(counts, make_genes(N_GENES, "mouse").index)
    logs = make_object(np.log2(1.5 + counts), genes.index)
    negative = make_object(counts - 10_000, genes.index)

    with pytest.raises(MissingFieldError, match="there is no layer 'raw'; the object has none"):
        expressome.normalize_anndata(mine, target, layer="raw")
    with pytest.raises(IdentifierError, match="holds mouse genes, the target human ones"):
        expressome.normalize_anndata(mouse, target)
    with pytest.raises(ScaleMismatchError, match="256 of 256"):
        expressome.normalize_anndata(logs, target)
    with pytest.raises(InvalidCountsError, match="negative or infinite"):
        expressome.normalize_anndata(negative, target)
    with pytest.raises(InvalidValueError, match="is a view"):
        expressome.normalize_anndata(mine[:5], target)
    with pytest.raises(ShapeError, match="names no genes and has 3, the object 80"):
        expressome.normalize_anndata(mine, expressome.Target(np.arange(3.0), 1))
    np.testing.assert_array_equal(mine.X, counts)


def test_a_target_without_ids_takes_columns_in_order(counts, genes):
    target = expressome.fit_target(counts)
    mine = make_object(counts, genes["symbol"])

    expressome.normalize_anndata(mine, target)

    np.testing.assert_array_equal(mine.X, expressome.apply_target(counts, target))
