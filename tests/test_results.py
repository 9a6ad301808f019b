import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from expressome.errors import ShapeError
from expressome.results import LABEL_FIELDS, LabelMatrix, Summary, Target, to_json


def make_labels():
    table = pd.DataFrame("", index=pd.Index(["liver", "brain"], name="key"), columns=LABEL_FIELDS)
    matrix = sparse.csr_array(np.array([[1, 0], [0, 1], [0, 0]], np.uint8))
    return LabelMatrix(pd.Index(["a", "b", "c"]), table, matrix)


def test_labels_follow_the_samples_asked_for():
    labels = make_labels().reindex(pd.Index(["b", "unknown", "a"]))

    assert labels.matrix.toarray().tolist() == [[0, 1], [0, 0], [1, 0]]
    assert labels.is_labelled.tolist() == [True, False, True]
    assert labels.matrix.dtype == np.uint8


def test_axes_that_do_not_fit_name_both_sizes():
    labels = make_labels()

    with pytest.raises(ShapeError, match="is 3 x 2, but there are 2 samples and 2 labels"):
        LabelMatrix(labels.samples[:2], labels.labels, labels.matrix)


def test_json_is_strict_and_holds_every_result():
    value = {
        "path": Path("x.h5"),
        "missing": float("nan"),
        "table": pd.DataFrame({"n": [1]}, index=["liver"]),
        "target": Target(np.array([0.5]), 2),
        "sizes": (np.int64(3), np.bool_(1)),
    }

    parsed = json.loads(to_json(value))

    assert parsed == {
        "path": "x.h5",
        "missing": None,
        "table": {"liver": {"n": 1}},
        "target": {"profile": [0.5], "n_samples": 2, "genes": []},
        "sizes": [3, True],
    }


def test_a_summary_names_its_verb_first():
    assert json.loads(Summary("pack", {"n_samples": 2}).to_json()) == {
        "verb": "pack",
        "n_samples": 2,
    }
