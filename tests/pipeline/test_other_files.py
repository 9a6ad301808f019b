"""The whole job on a mouse file and on a transcript-level file."""

import numpy as np
import pandas as pd
import pytest
from tests.support.build import make_archs4, make_genes
from tests.support.studies import draw_counts

import expressome
from expressome.reference.identifiers import load_genes

pytestmark = pytest.mark.slow

TISSUES = np.tile(["liver", "brain", "heart"], 40)
STUDIES = np.repeat(np.arange(24), 5)
N_GENES = 300


def mouse_genes():
    known = load_genes("mouse")
    known = known[known.index.str.startswith("ENSMUSG")].head(N_GENES)
    return pd.DataFrame(
        {"symbol": known["symbol"].to_numpy(dtype=str), "biotype": "protein_coding"},
        index=pd.Index(known.index.to_numpy(dtype=object), name="gene"),
    )


def write_inputs(folder, *, layout, species, genes, normalize):
    ids = pd.Index([f"GSM{i}" for i in range(len(TISSUES))], name="sample", dtype=object)
    samples = pd.DataFrame({"series": [f"GSE{study}" for study in STUDIES]}, index=ids)
    make_archs4(
        folder / "x.h5",
        layout=layout,
        species=species,
        samples=samples,
        genes=genes,
        counts=draw_counts(TISSUES, STUDIES, N_GENES),
    )
    # The last four studies stay without label, to be predicted.
    labelled = STUDIES < 20
    labels = pd.DataFrame({"sample": ids, "label": TISSUES, "kind": "tissue"})[labelled]
    labels.to_csv(folder / "labels.tsv", sep="\t", index=False)
    (folder / "run.toml").write_text(
        "[input]\nfile = 'x.h5'\nlabels = 'labels.tsv'\n[output]\nfolder = 'out'\n"
        f"[normalize]\n{normalize}\n[train]\nn_trees = 20\n"
        "[augment]\nlabels = ['liver']\nn_samples = 5\nmethod = 'mixup'\n"
    )


def write_gtf(folder, transcripts):
    """Give each transcript one exon, of 1,000 bases and as many as its number."""
    lines = [
        f'1\tx\texon\t1\t{1000 + i}\t.\t+\t.\tgene_id "G{i}"; transcript_id "{name}"; '
        'gene_type "protein_coding"; transcript_type "protein_coding";\n'
        for i, name in enumerate(transcripts)
    ]
    (folder / "genes.gtf").write_text("".join(lines))


def run_and_read(folder):
    expressome.run(folder / "run.toml")
    predictions = pd.read_parquet(folder / "out" / "predictions.parquet").set_index("sample")
    atlas = expressome.open_atlas(folder / "out" / "atlas.zarr")
    return predictions, atlas


@pytest.mark.filterwarnings("ignore::expressome.errors.ExpressomeWarning")
def test_a_mouse_file_is_labelled_measured_and_predicted(tmp_path):
    write_inputs(
        tmp_path,
        layout="v2.6",
        species="mouse",
        genes=mouse_genes(),
        normalize="recipe = 'log2-quantile-length'",
    )

    predictions, atlas = run_and_read(tmp_path)

    truth = TISSUES[STUDIES >= 20]
    assert (predictions["label"].to_numpy() == truth).mean() > 0.8
    assert atlas.var["length_source"].eq("annotation").mean() > 0.95
    assert atlas.var["mean_cosine"].notna().mean() > 0.9


@pytest.mark.filterwarnings("ignore::expressome.errors.ExpressomeWarning")
def test_a_transcript_file_is_divided_by_the_lengths_of_its_transcripts(tmp_path):
    transcripts = make_genes(N_GENES, level="transcript")
    write_gtf(tmp_path, transcripts.index)
    write_inputs(
        tmp_path,
        layout="transcript",
        species="human",
        genes=transcripts,
        normalize=f"gtf = '{tmp_path / 'genes.gtf'}'",
    )

    predictions, atlas = run_and_read(tmp_path)

    truth = TISSUES[STUDIES >= 20]
    assert (predictions["label"].to_numpy() == truth).mean() > 0.8
    np.testing.assert_array_equal(atlas.var["length_bp"], 1000 + np.arange(N_GENES))
