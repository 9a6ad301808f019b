"""What every report shows beside our classifier: plain methods of scikit-learn."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.classification.scores import score_labels

__all__ = ["score_baselines", "score_original"]

_N_TREES_ORIGINAL = 10


def score_original(
    train: NDArray[np.float32],
    train_labels: sparse.csr_array,
    test: NDArray[np.float32],
    *,
    test_labels: sparse.csr_array,
    seed: int,
    n_workers: int = 1,
) -> dict[str, Any]:
    """Score the original study's configuration.

    10 trees, one output per label, a label answered where its vote reaches 0.5.

    Parameters
    ----------
    train, test
        Values of training and test samples, shape (n_samples, n_genes), no NaN.
    train_labels, test_labels
        0/1, shape (n_samples, n_labels).
    seed
        Of the trees.
    n_workers
        Threads; the trees are the same for any number.

    Returns
    -------
    dict
        F1 over samples, decisions and labels.
    """
    from sklearn.ensemble import RandomForestClassifier

    truth = train_labels.toarray()
    forest = RandomForestClassifier(_N_TREES_ORIGINAL, random_state=seed, n_jobs=n_workers)
    forest.fit(train, truth if truth.shape[1] > 1 else truth[:, 0])
    votes = forest.predict_proba(test)
    columns = votes if isinstance(votes, list) else [votes]
    constant = truth.min(axis=0)
    # scikit-learn drops the column of a value that no training sample had.
    probabilities = np.column_stack(
        [
            part[:, 1] if part.shape[1] == 2 else np.full(len(test), float(constant[k]))
            for k, part in enumerate(columns)
        ]
    )
    return _summarise(test_labels, probabilities >= 0.5, probabilities)


def score_baselines(
    train: NDArray[np.float32],
    classes: NDArray[np.int64],
    test: NDArray[np.float32],
    *,
    sets: NDArray[np.bool_],
    test_labels: sparse.csr_array,
) -> dict[str, dict[str, Any]]:
    """Score logistic regression and nearest centroid on label sets.

    Parameters
    ----------
    train, test
        Values of training and test samples, shape (n_samples, n_genes), no NaN.
    classes
        Label set of each training sample.
    sets
        Labels of each set, shape (n_sets, n_labels).
    test_labels
        0/1, shape (n_samples, n_labels).

    Returns
    -------
    dict
        ``logistic_regression`` and ``nearest_centroid``, each with its F1 scores.
        A sample's answer is its best label set.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    standard, unseen = scaler.transform(train), scaler.transform(test)
    if len(np.unique(classes)) < 2:
        answer = sets[np.full(len(test), classes[0])]
        only = _summarise(test_labels, answer, answer.astype(float))
        return {"logistic_regression": only, "nearest_centroid": only}
    with warnings.catch_warnings():
        # A baseline need not be polished to the last digit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression = LogisticRegression(C=0.01, max_iter=30).fit(standard, classes)
    votes = np.zeros((len(test), len(sets)))
    votes[:, regression.classes_] = regression.predict_proba(unseen)
    nearest = sets[_nearest_centroid(standard, classes, unseen)]
    return {
        "logistic_regression": _summarise(
            test_labels, sets[votes.argmax(axis=1)], votes @ sets.astype(float)
        ),
        "nearest_centroid": _summarise(test_labels, nearest, nearest.astype(float)),
    }


def _nearest_centroid(
    train: NDArray[np.float32], classes: NDArray[np.int64], test: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Give the class whose mean profile lies nearest, by Euclidean distance."""
    present, codes = np.unique(classes, return_inverse=True)
    centroids = np.stack([train[codes == c].mean(axis=0) for c in range(len(present))])
    distances = (centroids**2).sum(axis=1) - 2 * test @ centroids.T
    return np.asarray(present[distances.argmin(axis=1)], dtype=np.int64)


def _summarise(
    truth: sparse.csr_array, chosen: NDArray[np.bool_], probabilities: NDArray[np.float64]
) -> dict[str, Any]:
    """Keep the three F1 scores."""
    keys = [str(k) for k in range(truth.shape[1])]
    scores = score_labels(truth, chosen, probabilities, label_keys=keys)
    return {name: scores[name] for name in ("n_samples", "f1_samples", "f1_micro", "f1_macro")}
