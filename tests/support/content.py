"""Made-up report content of any size, shaped like the real thing."""

import numpy as np
import pandas as pd

from expressome.reporting.content import (
    BatchEffects,
    Classification,
    Density,
    Genes,
    Histogram,
    Normalization,
    Predictions,
    ReportContent,
    Samples,
    Synthetic,
)

TISSUES = (
    *("liver", "brain", "kidney", "lung", "heart", "skin", "testis", "blood", "colon", "breast"),
    *("prostate", "ovary", "muscle", "pancreas", "spleen", "thyroid", "bladder", "stomach"),
    *("adrenal_gland", "connective_tissue"),
)
CELL_LINES = ("HeLa", "HepG2", "A549", "MCF7", "K562", "HEK293", "U2OS", "Jurkat")


def make_names(n_labels):
    names = [*TISSUES, *CELL_LINES]
    return [*names, *(f"label {i}" for i in range(len(names), n_labels))][:n_labels]


def make_histogram(values, bins=40):
    counts, edges = np.histogram(values, bins)
    return Histogram(edges, counts.astype(float))


def make_batch(rng):
    variance = np.sort(rng.dirichlet(np.ones(30)))[::-1][:10]
    shares = rng.dirichlet([5, 2, 1], 10)
    table = pd.DataFrame(
        {
            "variance": variance,
            "study": np.minimum(shares[:, 0] + shares[:, 1], 1),
            "label": shares[:, 0],
            "study_within_label": shares[:, 1],
            "residual": shares[:, 2],
            "depth": rng.uniform(0, 0.2, 10),
        },
        index=pd.RangeIndex(1, 11, name="component"),
    )
    overall = {name: float(table[name].mean()) for name in table.columns[1:]}
    return BatchEffects(table, overall, 500, 60, 1000, has_labels=True)


def make_samples(rng, n_samples, n_labels):
    names = make_names(n_labels)
    sizes = np.sort((n_samples * 0.6 * rng.dirichlet(np.full(n_labels, 0.6))).astype(int) + 1)[::-1]
    labels = pd.DataFrame(
        {
            "kind": ["cell line" if name in CELL_LINES else "tissue" for name in names],
            "parent": "",
            "ontology_id": [f"UBERON:{i:07d}" if i % 3 else "" for i in range(n_labels)],
            "n_samples": sizes,
            "n_studies": np.maximum(1, sizes // 14),
        },
        index=pd.Index(names, name="label"),
    )
    n_shown = min(n_labels, 40)
    both = np.diag(sizes[:n_shown])
    both[0, -1] = both[-1, 0] = sizes[n_shown - 1]
    both[1, 2] = both[2, 1] = sizes[2] // 3
    n_points = min(n_samples, 3000)
    centre = rng.normal(0, 30, (8, 2))
    which = rng.integers(0, 8, n_points)
    groups = [*names[:6], "other labels", "unlabelled"]
    group = np.array(groups)[which % len(groups)]
    place = centre[which] + rng.normal(0, 6, (n_points, 2))
    plane = pd.DataFrame(
        {
            "x": place[:, 0],
            "y": place[:, 1],
            "group": group,
            "sample": [f"GSM{i}" for i in range(n_points)],
            "study": [f"GSE{i // 9}" for i in range(n_points)],
        }
    )
    depth = np.log10(rng.lognormal(16.6, 0.7, n_samples))
    return Samples(
        facts={"species": "human", "recipe": "log2-quantile-length", "release": "v2.6"},
        n_samples=n_samples,
        n_genes=18_000,
        n_studies=n_samples // 14,
        n_labelled=int(n_samples * 0.6),
        labels=labels,
        parts=pd.DataFrame(
            {"n_samples": [int(n_samples * share) for share in (0.42, 0.09, 0.09, 0.4)]}
            | {"n_studies": [int(n_samples * share) // 14 for share in (0.42, 0.09, 0.09, 0.4)]},
            index=["train", "validation", "test", "unlabelled"],
        ),
        labels_per_sample=np.array([n_samples // 3, n_samples // 2, n_samples // 6]),
        cooccurrence=pd.DataFrame(both, index=names[:n_shown], columns=names[:n_shown]),
        depth=make_histogram(depth),
        study_sizes=Histogram(np.array([1, 2, 3, 5, 9, 17, 33, 65]), rng.integers(1, 90, 7) * 1.0),
        detected=make_histogram(rng.normal(13_500, 1_800, n_samples)),
        single_cell=make_histogram(rng.beta(0.5, 6, n_samples), np.linspace(0, 1, 41)),
        n_single_cell=n_samples // 40,
        plane=plane,
        explained=(0.31, 0.14),
    )


def make_normalization(rng, n_shown=120):
    points = np.linspace(0, 20, 120)

    def bell(shift, zero):
        body = (1 - zero) * np.exp(-0.5 * ((points - 7 - shift) / 2.6) ** 2) / 6.5
        return body + zero * np.exp(-0.5 * (points / 0.5) ** 2) * 1.6

    before = np.array([bell(rng.normal(0, 1.2), rng.uniform(0.25, 0.45)) for _ in range(n_shown)])
    after = np.array([bell(rng.normal(0, 0.02), 0.34) for _ in range(n_shown)])
    length = np.geomspace(250, 30_000, 20)
    middle = 2 + np.log2(length / 200)
    effect = pd.DataFrame({"length_bp": length})
    for name, values in (("before", middle), ("after", 1000 * middle / length)):
        effect[name] = values
        effect[f"{name}_low"], effect[f"{name}_high"] = values * 0.7, values * 1.4
    return Normalization(
        recipe="log2-quantile-length",
        points=points,
        before=before,
        after=after,
        bandwidth=0.5,
        target=np.sort(np.maximum(0, rng.normal(5, 4, 400))),
        n_target_samples=1200,
        length_effect=effect,
        length_sources={"annotation": 17_100, "imputed": 900},
    )


def make_genes(rng, n_genes, label_names):
    ratio = (
        1 + rng.gamma(1.5, 0.4, n_genes) + (rng.random(n_genes) < 0.04) * rng.gamma(3, 1, n_genes)
    )
    cosine = np.clip(0.55 + 0.08 * np.log2(ratio) + rng.normal(0, 0.06, n_genes), 0, 1)
    cosine[:7] = np.nan
    table = pd.DataFrame(
        {
            "symbol": [f"GENE{i}" for i in range(n_genes)],
            "biotype": "protein_coding",
            "length_bp": rng.integers(300, 12_000, n_genes),
            "n_detected": rng.integers(0, 2000, n_genes),
            "p95": rng.gamma(2, 3, n_genes),
            "p95_ratio": ratio,
            "mean_cosine": cosine,
            "neighbours_detected": rng.random(n_genes),
        },
        index=pd.Index([f"ENSG{i:011d}" for i in range(n_genes)], name="gene"),
    )
    for name in ("p95_ratio", "mean_cosine"):
        table[f"rank_{name}"] = table[name].rank(ascending=False)
    table["together"] = table["rank_p95_ratio"] + table["rank_mean_cosine"]
    table = table.sort_values("together").drop(columns="together")
    known = table.dropna(subset=["mean_cosine"])
    counts, y_edges, x_edges = np.histogram2d(
        known["mean_cosine"], np.log10(known["p95_ratio"]), bins=(60, 80)
    )
    markers = pd.DataFrame(
        {"genes": "ALB, APOA1, FGB, SERPINA1, TF", "n_samples": 60}, index=label_names
    )
    return Genes(table, Density(x_edges, y_edges, counts), markers)


def make_classification(rng, label_names):
    n_labels = len(label_names)
    support = rng.integers(0, 60, n_labels).astype(float)
    recall = np.clip(rng.beta(5, 2, n_labels), 0, 1)
    precision = np.clip(rng.beta(5, 2, n_labels), 0, 1)
    tested = support > 0
    per_label = pd.DataFrame(
        {
            "precision": np.where(tested, precision, np.nan),
            "recall": np.where(tested, recall, np.nan),
            "f1": np.where(tested, 2 * precision * recall / (precision + recall), np.nan),
            "average_precision": np.where(tested, rng.beta(6, 2, n_labels), np.nan),
            "auroc": np.where(tested, rng.beta(20, 2, n_labels), np.nan),
            "support": support,
            "threshold": rng.uniform(0.2, 0.6, n_labels),
            "testable": tested,
        },
        index=label_names,
    )
    confusion = rng.poisson(0.3, (n_labels, n_labels)) + np.diag(rng.poisson(30, n_labels))
    confidence = np.linspace(0.15, 0.95, 9)
    coverage = np.linspace(0.05, 1, 40)
    scores = pd.DataFrame(
        {
            "f1_samples": [0.74, 0.76, 0.93, 0.61, 0.12],
            "low": [0.69, 0.71, np.nan, np.nan, np.nan],
            "high": [0.79, 0.81, np.nan, np.nan, np.nan],
            "f1_micro": [0.74, 0.76, 0.93, 0.6, 0.12],
            "f1_macro": [0.66, 0.7, 0.9, 0.5, 0.04],
            "n_samples": [400, 380, 400, 400, 400],
            "n_studies": [30, 28, 30, 30, 30],
            "title": [
                "this model: test",
                "this model: validation",
                "plain forest, random split",
                "nearest centroid",
                "most frequent label",
            ],
            "role": ["model", "model", "baseline", "baseline", "baseline"],
        },
        index=["test", "validation", "plain_forest_random_split", "centroid", "frequent"],
    )
    return Classification(
        scores=scores,
        per_label=per_label,
        confusion=pd.DataFrame(confusion, index=label_names, columns=label_names),
        reliability=pd.DataFrame(
            {"confidence": confidence, "accuracy": confidence**1.2, "n": rng.integers(5, 90, 9)}
        ),
        risk_coverage=pd.DataFrame({"coverage": coverage, "risk": 0.25 * coverage**2}),
        settings={"trees": 300, "genes": 2000, "study effects": "yes"},
        leak="plain_forest_random_split",
    )


def make_predictions(rng, n_samples, label_names):
    edges = np.linspace(0, 1, 21)
    known = np.histogram(rng.beta(6, 2, n_samples), edges)[0].astype(float)
    unknown = np.histogram(rng.beta(2, 4, n_samples // 6), edges)[0].astype(float)
    counts = pd.DataFrame(
        {
            "n_samples": np.sort(
                rng.multinomial(n_samples, rng.dirichlet(np.ones(len(label_names))))
            )[::-1]
        },
        index=label_names,
    )
    return Predictions(
        n_samples=n_samples + n_samples // 6,
        n_unknown=n_samples // 6,
        counts=counts,
        confidence_known=Histogram(edges, known),
        confidence_unknown=Histogram(edges, unknown),
        reasons={
            "confidence below 0.31": n_samples // 8,
            "unlike any training sample": n_samples // 24,
        },
    )


def make_synthetic(rng, label_names):
    labels = label_names[:2]
    rows = []
    for synthetic in (False, True):
        for i, group in enumerate([*labels, "other labels"]):
            if synthetic and group == "other labels":
                continue
            place = rng.normal((i * 25, -i * 12), 6 - synthetic, (150, 2))
            rows.append(
                pd.DataFrame(place, columns=["x", "y"]).assign(group=group, synthetic=synthetic)
            )
    metrics = ["precision", "recall", "coverage", "two_sample_auc", "correlation_of_correlations"]
    fidelity = pd.DataFrame(
        [
            (method, metric, rng.uniform(0.3, 0.8), 0.95, 0.05)
            for method in ("gan", "gaussian", "mixup")
            for metric in metrics
        ],
        columns=["method", "metric", "value", "ceiling", "floor"],
    )
    edges = np.linspace(0, 60, 41)
    distances = {
        name: Histogram(edges, np.histogram(rng.normal(middle, 6, 400), edges)[0].astype(float))
        for name, middle in (
            ("real to other real samples of the label", 26),
            ("synthetic to real", 22),
            ("real to real samples of other labels", 42),
        )
    }
    steps = np.arange(0, 3000, 50)
    training = pd.DataFrame(
        {"critic": 4 + 20 * np.exp(-steps / 600), "generator": rng.normal(0, 0.4, len(steps))},
        index=steps,
    )
    counts = pd.DataFrame({"n_synthetic": 150, "n_real": [60, 24][: len(labels)]}, index=labels)
    central = {
        name: Histogram(edges, np.histogram(rng.normal(middle, 6, 400), edges)[0].astype(float))
        for name, middle in (("real samples", 30), ("synthetic samples", 29))
    }
    plane = pd.concat(rows, ignore_index=True)
    return Synthetic(
        "gan",
        counts,
        plane,
        (0.4, 0.2),
        fidelity,
        distances,
        training,
        representative=central,
    )


def make_content(rng, *, n_samples=600, n_labels=24, n_genes=1500, parts=True, simulated=True):
    names = make_names(n_labels)
    samples = make_samples(rng, n_samples, n_labels)
    manifest = {
        "verb": "normalize",
        "created": "2026-01-01T10:00:00+00:00",
        "inputs": [{"path": "compendium.h5", "sha256": "0" * 64}],
        "parameters": {"recipe": "log2-quantile-length"},
        "seed": 0,
        "versions": {"expressome": "0.1.0", "numpy": "2.3.0"},
    }
    common = {"title": "human.zarr", "created": "1 January 2026", "samples": samples}
    citations = (
        "Lachmann A et al. Nature Communications 9, 1366 (2018). doi:10.1038/s41467-018-03751-6",
    )
    if not parts:
        return ReportContent(**common, citations=citations)
    return ReportContent(
        **common,
        simulated=simulated,
        normalization=make_normalization(rng),
        batch=make_batch(rng),
        genes=make_genes(rng, n_genes, names),
        classification=make_classification(rng, names),
        predictions=make_predictions(rng, n_samples // 3, names),
        synthetic=make_synthetic(rng, names),
        manifests={"atlas": manifest, "model": manifest | {"verb": "train"}},
        citations=citations,
    )
