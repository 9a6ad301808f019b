"""What every report shows beside our classifier: plain methods of scikit-learn."""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["answer_original", "answer_plainly"]

_N_TREES_ORIGINAL = 10


def answer_original(
    train: NDArray[np.float32],
    train_labels: sparse.csr_array,
    test: NDArray[np.float32],
    *,
    seed: int,
    n_workers: int = 1,
) -> NDArray[np.bool_]:
    """Answer as the original study's configuration does.

    10 trees, one output per label, a label answered where its vote reaches 0.5.

    Parameters
    ----------
    train, test
        Values of training and test samples, shape (n_samples, n_genes), no NaN.
    train_labels
        0/1, shape (n_samples, n_labels).
    seed
        Of the trees.
    n_workers
        Threads; the trees are the same for any number.

    Returns
    -------
    ndarray
        Labels answered for the test samples, shape (n_samples, n_labels).
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
    return np.asarray(probabilities >= 0.5)


def answer_plainly(
    train: NDArray[np.float32],
    classes: NDArray[np.int64],
    test: NDArray[np.float32],
    *,
    sets: NDArray[np.bool_],
) -> dict[str, NDArray[np.bool_]]:
    """Answer by logistic regression and by nearest centroid, on label sets.

    Parameters
    ----------
    train, test
        Values of training and test samples, shape (n_samples, n_genes), no NaN.
    classes
        Label set of each training sample.
    sets
        Labels of each set, shape (n_sets, n_labels).

    Returns
    -------
    dict
        ``logistic_regression`` and ``nearest_centroid``: labels answered for the test
        samples, those of the best label set, shape (n_samples, n_labels).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    standard, unseen = scaler.transform(train), scaler.transform(test)
    if len(np.unique(classes)) < 2:
        answer = sets[np.full(len(test), classes[0])]
        return {"logistic_regression": answer, "nearest_centroid": answer}
    with warnings.catch_warnings():
        # A baseline need not be polished to the last digit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression = LogisticRegression(C=0.01, max_iter=30).fit(standard, classes)
    return {
        "logistic_regression": sets[regression.predict(unseen)],
        "nearest_centroid": sets[_nearest_centroid(standard, classes, unseen)],
    }


def _nearest_centroid(
    train: NDArray[np.float32], classes: NDArray[np.int64], test: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Give the class whose mean profile lies nearest, by Euclidean distance."""
    present, codes = np.unique(classes, return_inverse=True)
    centroids = np.stack([train[codes == c].mean(axis=0) for c in range(len(present))])
    distances = (centroids**2).sum(axis=1) - 2 * test @ centroids.T
    return np.asarray(present[distances.argmin(axis=1)], dtype=np.int64)
