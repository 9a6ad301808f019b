"""Suggest labels from what submitters wrote, beside the labels that lists and models give."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from expressome.annotation.characteristics import fold_text
from expressome.annotation.rules import Rules, load_rules
from expressome.results import LabelMatrix

__all__ = [
    "Agreement",
    "compare_with_labels",
    "compare_with_predictions",
    "suggest_labels",
    "sum_agreements",
]

Fold = Callable[[str], str]

# Kind of a label -> attributes that may name it, the surest first.
_ATTRIBUTES = {"cell_line": ("cell_line",), "disease": ("disease",)}
_OTHER_KINDS = ("cell_type", "tissue")
_COLUMNS = ["sample", "label", "attribute", "value", "source", "confidence"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two sources of labels say the same.

    Attributes
    ----------
    n_compared
        Samples that both sources label.
    n_agree
        Samples with a common label.
    per_label
        Index: suggested label. Columns ``n_compared``, ``n_agree``.
    """

    n_compared: int
    n_agree: int
    per_label: pd.DataFrame

    def to_figures(self) -> dict[str, object]:
        """Give the figures as plain values; the share is None where nothing is compared."""
        share = self.n_agree / self.n_compared if self.n_compared else None
        return {
            "n_compared": self.n_compared,
            "n_agree": self.n_agree,
            "share": share,
            "per_label": self.per_label.to_dict(orient="index"),
        }


def suggest_labels(metadata: pd.DataFrame, labels: pd.DataFrame, *, fold: Fold) -> pd.DataFrame:
    """Suggest, for samples with harmonised metadata, labels out of a given set.

    Parameters
    ----------
    metadata
        From `harmonize_texts`, one row per sample.
    labels
        The labels to choose from: index ``key``, columns ``name``, ``kind`` and
        ``parent``, as in `LabelMatrix`.
    fold
        Gives spellings of one name the same form.

    Returns
    -------
    DataFrame
        One row per sample and suggested label: ``sample``, ``label`` (a key),
        ``attribute`` and harmonised ``value`` that suggest it, ``source`` (the field they
        came from) and ``confidence``. Samples without a suggestion have no row.

    Notes
    -----
    A value suggests the label whose name is the value or means the same by the
    rules. Where there is none, the label of what the value lies within is
    suggested (cerebellum: brain). A cell line suggests cell-line labels only.

    Examples
    --------
    >>> metadata = pd.DataFrame(
    ...     {"tissue": ["cerebellum"], "tissue_source": ["title"], "tissue_confidence": [0.6]},
    ...     index=["S1"],
    ... )
    >>> labels = pd.DataFrame({"name": ["Brain"], "kind": ["tissue"]}, index=["Brain"])
    >>> suggest_labels(metadata, labels, fold=str.casefold)["label"].tolist()
    ['Brain']
    """
    rules = load_rules()
    named = _name_labels(labels, rules, fold)
    rows = []
    attributes = dict.fromkeys(
        [*_OTHER_KINDS, *(a for names in _ATTRIBUTES.values() for a in names)]
    )
    for attribute in attributes:
        if attribute not in metadata.columns:
            continue
        values = metadata[attribute].astype(str)
        found = {
            value: _find_key(value, attribute, named, rules=rules, fold=fold)
            for value in values.unique()
            if value
        }
        columns = (values, metadata[f"{attribute}_source"], metadata[f"{attribute}_confidence"])
        for sample, value, source, confidence in zip(metadata.index, *columns, strict=True):
            key = found.get(value)
            if key is not None:
                rows.append((str(sample), key, attribute, value, source, float(confidence)))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    order = metadata.index.get_indexer(pd.Index(table["sample"], dtype=object))
    table = table.assign(order=order).sort_values(
        ["order", "confidence"], ascending=[True, False], kind="stable"
    )
    return table.drop(columns="order").drop_duplicates(["sample", "label"], ignore_index=True)


def _name_labels(labels: pd.DataFrame, rules: Rules, fold: Fold) -> dict[tuple[str, str], str]:
    """Give (attribute, folded name or meaning) -> key; a name in two kinds stays apart."""
    named: dict[tuple[str, str], str] = {}
    for key, name, kind in zip(labels.index, labels["name"], labels["kind"], strict=True):
        for attribute in _ATTRIBUTES.get(str(kind), _OTHER_KINDS):
            named.setdefault((attribute, fold(str(name))), str(key))
    for key, name, kind in zip(labels.index, labels["name"], labels["kind"], strict=True):
        for attribute in _ATTRIBUTES.get(str(kind), _OTHER_KINDS):
            meaning = rules.match(attribute, _fold_label(str(name)), ("any", "keyed"))
            if meaning is not None:
                named.setdefault((attribute, fold(meaning)), str(key))
    return named


def _fold_label(name: str) -> str:
    """Fold a label's name as texts are folded; ``Blymphocyte`` is written as one word there."""
    folded = fold_text(name)
    return {"blymphocyte": "b lymphocyte", "tlymphocyte": "t lymphocyte"}.get(folded, folded)


def _find_key(
    value: str, attribute: str, named: dict[tuple[str, str], str], *, rules: Rules, fold: Fold
) -> str | None:
    """Find the label of a value, or of the nearest thing that it lies within."""
    for name in (value, *rules.wider(attribute, value)):
        # What a value lies within may be named by the other attribute: tissue or cell type.
        others = _OTHER_KINDS if attribute in _OTHER_KINDS else (attribute,)
        for other in (attribute, *others):
            key = named.get((other, fold(name)))
            if key is not None:
                return key
    return None


def _count(suggestions: pd.DataFrame, is_right: "pd.Series[bool]") -> Agreement:
    """Count samples, and suggestions per label, that agree."""
    if suggestions.empty:
        return Agreement(0, 0, pd.DataFrame({"n_compared": [], "n_agree": []}, dtype=np.int64))
    table = pd.DataFrame(
        {"sample": suggestions["sample"], "label": suggestions["label"], "right": is_right}
    )
    per_sample = table.groupby("sample")["right"].any()
    per_label = table.groupby("label")["right"].agg(n_compared="size", n_agree="sum")
    counts = _order_labels(pd.DataFrame(per_label))
    return Agreement(len(per_sample), int(per_sample.sum()), counts)


def _order_labels(counts: pd.DataFrame) -> pd.DataFrame:
    """Put the label with most samples first; ties by name."""
    order = np.argsort(-counts["n_compared"].to_numpy(), kind="stable")
    return counts.astype(np.int64).iloc[order]


def sum_agreements(parts: Sequence[Agreement]) -> Agreement:
    """Add up the agreement of blocks of samples.

    Parameters
    ----------
    parts
        One per block; no sample is in two of them.

    Returns
    -------
    Agreement
        As if all blocks had been compared at once.

    Examples
    --------
    >>> half = Agreement(2, 1, pd.DataFrame({"n_compared": [2], "n_agree": [1]}, index=["liver"]))
    >>> sum_agreements([half, half]).to_figures()["share"]
    0.5
    """
    tables = [part.per_label for part in parts if len(part.per_label)]
    if not tables:
        return Agreement(0, 0, pd.DataFrame({"n_compared": [], "n_agree": []}, dtype=np.int64))
    counts = pd.concat(tables).groupby(level=0).sum()
    counts = _order_labels(counts.rename_axis("label"))
    n_agree = sum(part.n_agree for part in parts)
    return Agreement(sum(part.n_compared for part in parts), n_agree, counts)


def compare_with_labels(suggestions: pd.DataFrame, labels: LabelMatrix) -> Agreement:
    """Measure the suggestions on samples whose labels are known.

    Parameters
    ----------
    suggestions
        From `suggest_labels`.
    labels
        What lists say; a label's ancestors count as right.

    Returns
    -------
    Agreement
        Over samples that lists label and texts suggest a label for.
    """
    rows = labels.samples.get_indexer(pd.Index(suggestions["sample"], dtype=object))
    is_known = rows >= 0
    is_known[is_known] = labels.is_labelled[rows[is_known]]
    known = suggestions[is_known]
    keys = labels.keys
    parents = dict(zip(keys, labels.labels["parent"].astype(str), strict=True))
    right = []
    for row, label in zip(rows[is_known], known["label"], strict=True):
        span = slice(labels.matrix.indptr[row], labels.matrix.indptr[row + 1])
        own = [keys[k] for k in labels.matrix.indices[span]]
        right.append(label in _with_ancestors(own, parents))
    return _count(known, pd.Series(right, index=known.index, dtype=bool))


def _with_ancestors(keys: list[str], parents: dict[str, str]) -> set[str]:
    found: set[str] = set()
    for key in keys:
        place = key
        while place and place not in found:
            found.add(place)
            place = parents.get(place, "")
    return found


def compare_with_predictions(suggestions: pd.DataFrame, predictions: pd.DataFrame) -> Agreement:
    """Measure how often texts and expression say the same.

    Parameters
    ----------
    suggestions
        From `suggest_labels`.
    predictions
        As `predict` writes it: columns ``sample``, ``label``, ``unknown`` and, if there,
        ``labels``, joined by ``;`` or a list.

    Returns
    -------
    Agreement
        Over samples that are not unknown to the model and have a suggestion. A
        suggestion agrees if it is the predicted label or among the labels above
        their thresholds.
    """
    known = predictions[~predictions["unknown"].astype(bool)].set_index("sample")
    shared = suggestions[suggestions["sample"].isin(known.index)]
    labels = known["label"].astype(str).to_dict()
    others = known["labels"].to_dict() if "labels" in known.columns else {}
    right = [
        label == labels[sample] or label in _split(others.get(sample))
        for sample, label in zip(shared["sample"], shared["label"], strict=True)
    ]
    return _count(shared, pd.Series(right, index=shared.index, dtype=bool))


def _split(labels: object) -> set[str]:
    """Give the labels of a prediction as a set."""
    if isinstance(labels, str):
        return {part.strip() for part in labels.split(";")}
    return {str(label) for label in labels} if isinstance(labels, list | np.ndarray) else set()
