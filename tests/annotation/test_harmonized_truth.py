"""The rules against what a person reads in real samples (docs/metadata.md has the figures)."""

from pathlib import Path

import pandas as pd
import pytest

from expressome.annotation.harmonization import ATTRIBUTES, harmonize_texts

TRUTH = Path(__file__).parents[1] / "truth"
# Attribute -> least precision and recall; what was measured, less two samples of play.
FLOORS = {
    "sex": (0.95, 0.95),
    "age_years": (0.95, 0.95),
    "disease": (0.95, 0.80),
    "tissue": (0.92, 0.90),
    "cell_type": (0.92, 0.92),
    "cell_line": (0.90, 0.95),
    "treatment": (0.78, 0.78),
}
# The same of the second sample, which later rules have not seen.
LATER_FLOORS = {"disease": (0.90, 0.76), "treatment": (0.84, 0.78)}


def read_rows(folder):
    first = pd.read_csv(
        folder / "MoMaDC_archs4_metadata.csv.gz", encoding="latin-1", index_col="geo_accession"
    ).rename(columns={"ID": "title"})
    second = pd.read_csv(folder / "dermatitis_archs4_meta_samples.csv.gz").set_index(
        "geo_accession"
    )
    third = pd.read_parquet(folder / "metahq" / "metadata__level-sample.parquet").set_index(
        "sample"
    )
    rows = pd.concat([first, second, third])
    names = {"source_name_ch1": "source", "characteristics_ch1": "characteristics"}
    rows = rows.rename(columns=names)[["title", "source", "characteristics"]]
    return rows[~rows.index.duplicated()]


def is_right(found, accepted):
    if found.lower() in (value.lower() for value in accepted):
        return True
    try:
        return abs(float(found) - float(accepted[0])) < 0.01
    except ValueError:
        return False


@pytest.fixture(scope="module")
def real_rows():
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "archs4-label-lists"
    if not folder.is_dir():
        pytest.skip("real metadata are not beside the checkout (../shared/data)")
    return read_rows(folder)


def read_truth(name):
    return pd.read_csv(
        TRUTH / name, sep="\t", comment="#", index_col="sample", dtype=str, keep_default_na=False
    )


def score(rows, truth, attribute):
    """Give precision and recall of one attribute."""
    found = harmonize_texts(rows.loc[truth.index])[attribute].astype(str).replace("nan", "")
    accepted = truth[attribute].str.split("|")
    judged = [sample for sample in truth.index if accepted[sample] != ["?"]]
    right = {sample: is_right(found[sample], accepted[sample]) for sample in judged}
    given = [sample for sample in judged if found[sample]]
    stated = [sample for sample in judged if "" not in accepted[sample]]
    print(  # noqa: T201 - for docs/metadata.md
        f"{attribute}: precision {sum(right[s] for s in given)} of {len(given)}, "
        f"recall {sum(right[s] for s in stated)} of {len(stated)}"
    )
    return (
        sum(right[sample] for sample in given) / len(given),
        sum(right[sample] for sample in stated) / len(stated),
    )


@pytest.mark.parametrize("attribute", FLOORS)
def test_precision_and_recall_on_samples_read_by_hand(real_rows, attribute):
    precision, recall = score(real_rows, read_truth("harmonized_metadata.tsv"), attribute)

    assert precision >= FLOORS[attribute][0]
    assert recall >= FLOORS[attribute][1]


@pytest.mark.parametrize("attribute", LATER_FLOORS)
def test_precision_and_recall_on_a_later_sample(real_rows, attribute):
    precision, recall = score(real_rows, read_truth("harmonized_treatments.tsv"), attribute)

    assert precision >= LATER_FLOORS[attribute][0]
    assert recall >= LATER_FLOORS[attribute][1]


@pytest.mark.slow
def test_all_real_rows_are_read_and_their_texts_kept(real_rows):
    before = real_rows.copy()

    table = harmonize_texts(real_rows.iloc[::4])

    pd.testing.assert_frame_equal(real_rows, before)
    assert len(table) == len(real_rows.iloc[::4])
    for name in ATTRIBUTES:
        confidence = table[f"{name}_confidence"].dropna()
        assert confidence.between(0.2, 1).all()
        assert (table.loc[confidence.index, f"{name}_source"] != "").all()
