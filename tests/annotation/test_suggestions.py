import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from expressome.annotation.harmonization import harmonize_texts
from expressome.annotation.suggestions import (
    compare_with_labels,
    compare_with_predictions,
    suggest_labels,
)
from expressome.reference.vocabulary import fold_name, load_vocabulary
from expressome.results import LABEL_FIELDS, LabelMatrix

TEXTS = {
    "S1": "tissue: Liver",
    "S2": "cell line: Hep-G2",
    "S3": "tissue: cerebellum",
    "S4": "cell type: CD4+ T cells,tissue: blood",
    "S5": "tissue: placenta",
    "S6": "",
}


def make_labels(rows):
    table = pd.DataFrame(
        [[name, kind, "", parent, ""] for name, kind, parent in rows],
        index=[name for name, _, _ in rows],
        columns=list(LABEL_FIELDS),
    )
    return table.rename_axis("key")


LABELS = make_labels(
    [
        ("liver", "tissue", ""),
        ("HEPG2", "cell_line", ""),
        ("Brain", "tissue", ""),
        ("Tlymphocyte", "tissue", ""),
        ("blood", "tissue", ""),
    ]
)


@pytest.fixture
def suggestions():
    texts = pd.DataFrame({"characteristics": TEXTS})
    return suggest_labels(harmonize_texts(texts), LABELS, fold=fold_name)


def test_texts_suggest_labels_of_the_given_set(suggestions):
    found = suggestions.groupby("sample")["label"].agg(list).to_dict()

    assert found == {
        "S1": ["liver"],
        "S2": ["HEPG2"],
        "S3": ["Brain"],
        "S4": ["Tlymphocyte", "blood"],
    }
    row = suggestions.iloc[0]
    assert (row["attribute"], row["value"]) == ("tissue", "liver")
    assert (row["source"], row["confidence"]) == ("characteristics_ch1: tissue", 0.95)


def test_a_tissue_never_suggests_a_cell_line():
    labels = make_labels([("brain", "cell_line", "")])
    texts = pd.DataFrame({"characteristics": {"S1": "tissue: brain"}})

    assert suggest_labels(harmonize_texts(texts), labels, fold=fold_name).empty


def test_a_shared_name_suggests_the_label_of_the_right_kind():
    labels = make_labels([("brain", "cell_line", ""), ("Brain", "tissue", "")])
    texts = pd.DataFrame({"characteristics": {"S1": "tissue: brain"}})

    assert suggest_labels(harmonize_texts(texts), labels, fold=fold_name)["label"].tolist() == [
        "Brain"
    ]


def test_suggestions_are_measured_on_labelled_samples(suggestions):
    hot = sparse.csr_array(np.array([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.uint8))
    labels = LabelMatrix(pd.Index(["S1", "S3", "S4"]), LABELS, hot)

    agreement = compare_with_labels(suggestions, labels)

    assert (agreement.n_compared, agreement.n_agree) == (2, 1)
    assert agreement.per_label.loc["Brain"].tolist() == [1, 0]
    assert agreement.to_figures()["share"] == 0.5


def test_an_ancestor_of_a_listed_label_is_right(suggestions):
    table = make_labels([("Brain", "tissue", ""), ("Cerebellum", "tissue", "Brain")])
    labels = LabelMatrix(pd.Index(["S3"]), table, sparse.csr_array(np.array([[0, 1]], np.uint8)))

    assert compare_with_labels(suggestions, labels).n_agree == 1


def test_agreement_with_predictions_leaves_out_the_unknown(suggestions):
    predictions = pd.DataFrame(
        {
            "sample": ["S1", "S3", "S4", "S6"],
            "label": ["liver", "liver", "Brain", "liver"],
            "unknown": [False, True, False, False],
            "labels": ["liver", "", "Brain;blood", "liver"],
        }
    )

    agreement = compare_with_predictions(suggestions, predictions)

    assert (agreement.n_compared, agreement.n_agree) == (2, 2)


def test_nothing_to_compare_is_no_share(suggestions):
    agreement = compare_with_predictions(
        suggestions.iloc[:0], pd.DataFrame({"sample": [], "label": [], "unknown": []})
    )

    assert agreement.to_figures()["share"] is None


def test_most_labels_of_the_site_can_be_suggested():
    vocabulary = load_vocabulary()
    texts = {
        f"S{i}": f"cell line: {row.name_}" if row.kind == "cell_line" else f"tissue: {row.name_}"
        for i, row in enumerate(vocabulary.rename(columns={"name": "name_"}).itertuples())
    }
    samples = pd.DataFrame({"characteristics": texts})

    found = suggest_labels(harmonize_texts(samples), vocabulary, fold=fold_name)
    own = dict(zip(samples.index, vocabulary.index, strict=True))
    right = [
        own[sample] == label for sample, label in zip(found["sample"], found["label"], strict=True)
    ]

    assert np.mean(right) > 0.9
    assert found["sample"].nunique() > 0.8 * len(vocabulary)
