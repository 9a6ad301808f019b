"""Small valid files of every kind that expressome reads, to be spoilt."""

import gzip

import numpy as np
import pandas as pd
from tests.support.studies import gene_table

import expressome

SCRIPT = """# R script to download selected samples
library("rhdf5")
destination_file = "human_matrix.h5"
extracted_expression_file = "Liver_expression_matrix.tsv"
samp = c("GSM1","GSM2",
"GSM3","GSM4")
samples = h5read(destination_file, "meta/Sample_geo_accession")
"""
TABLE = "gene,S1,S2\nENSG00000163631.18,900,1200\nENSG00000141510,12,0\nACTB,7,8\n"
LONG = "sample\tlabel\tkind\nGSM1\tliver\ttissue\nGSM2\tHEPG2\tcell line\n"
SHEET = "sample\tseries\ttissue\tcell_line\nGSM1\tGSE1\tliver\t\nGSM2\tGSE2\t\tHEPG2\n"
GTF = (
    "#!genome-build GRCh38\n"
    '1\thavana\tgene\t1\t900\t.\t+\t.\tgene_id "ENSG00000141510.19"; gene_name "TP53";\n'
    '1\thavana\ttranscript\t1\t900\t.\t+\t.\tgene_id "ENSG00000141510.19"; transcript_id "T1";\n'
    '1\thavana\texon\t1\t300\t.\t+\t.\tgene_id "ENSG00000141510.19"; transcript_id "T1";\n'
    '1\thavana\texon\t500\t900\t.\t+\t.\tgene_id "ENSG00000141510.19"; transcript_id "T1";\n'
)
CONFIGURATION = """
[input]
file = "compendium.h5"
labels = ["label_lists/"]
[output]
folder = "results"
[normalize]
recipe = "log2-quantile-length"
split = [70, 15, 15]
[resources]
memory = "2GiB"
workers = 2
"""


def write_seeds(folder):
    """Write one valid file of each kind; give name to path."""
    texts = {
        "liver.R": SCRIPT,
        "counts.csv": TABLE,
        "long.tsv": LONG,
        "sheet.tsv": SHEET,
        "genes.gtf": GTF,
        "run.toml": CONFIGURATION,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "genes.gtf.gz").write_bytes(gzip.compress(GTF.encode(), mtime=0))
    genes, samples = gene_table(20).index, [f"GSM{i}" for i in range(6)]
    counts = np.random.default_rng(0).poisson(30, (6, 20))
    pd.DataFrame(counts.T, index=genes, columns=samples).to_parquet(folder / "counts.parquet")
    sheet = pd.DataFrame({"sample": samples, "tissue": "liver", "series": "GSE1"})
    sheet.to_parquet(folder / "sheet.parquet")
    answers = pd.DataFrame({"sample": samples, "label": "liver", "unknown": False})
    answers.assign(confidence=0.5, reason="").to_parquet(folder / "predictions.parquet")
    expressome.save_target(expressome.fit_target(counts), folder / "target.npz")
    return {path.name: path for path in folder.iterdir()}
