"""How fast samples are searched, against archs4py's search of the same file.

Samples are simulated: texts as GEO writes them, words by Zipf's law. Run from the checkout:

    python benchmarks/searching.py                         # 1,000,000 samples
    python benchmarks/searching.py --samples 50000
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from expressome.archs4.catalogue import open_catalogue
from expressome.archs4.conditions import meets_condition, parse_condition
from expressome.archs4.reader import open_archs4
from expressome.pipeline.searching import search

TISSUES = [
    "liver",
    "brain",
    "lung",
    "kidney",
    "blood",
    "heart",
    "skin",
    "colon",
    "breast",
    "prostate",
    "muscle",
    "spleen",
    "thymus",
    "ovary",
    "testis",
    "placenta",
    "pancreas",
    "stomach",
    "retina",
    "bone_marrow",
    "cortex",
    "hippocampus",
    "cerebellum",
    "fibroblast",
    "keratinocyte",
    "hepatocyte",
    "monocyte",
    "macrophage",
    "neutrophil",
    "platelet",
    "endothelial",
    "HEK293",
    "HeLa",
    "MCF-7",
    "A549",
    "K562",
    "HepG2",
    "U2OS",
    "Jurkat",
    "THP-1",
    "iPSC",
    "hESC",
    "PBMC",
    "CD4",
    "CD8",
]
WORDS = [
    "treated",
    "control",
    "untreated",
    "siRNA",
    "shRNA",
    "knockdown",
    "knockout",
    "wildtype",
    "mutant",
    "DMSO",
    "vehicle",
    "tumor",
    "normal",
    "adjacent",
    "metastasis",
    "patient",
    "donor",
    "female",
    "male",
    "adult",
    "fetal",
    "day",
    "hours",
    "replicate",
    "passage",
    "stimulated",
    "infected",
    "mock",
    "virus",
    "interferon",
    "LPS",
    "dexamethasone",
    "estradiol",
    "hypoxia",
    "glucose",
    "serum",
    "differentiated",
    "progenitor",
    "stem",
    "clone",
    "total",
    "RNA",
    "poly",
    "nuclear",
]
# Ten kinds of five: common word, rare word, two words, phrase, beginning, OR, NOT, one field,
# series, and a word with conditions on named fields.
QUERIES = [
    *("liver", "tumor", "HeLa", "fetal", "CD4"),
    *("term311", "term1203", "term2999", "term77", "term512"),
    *("liver tumor", "brain adult male", "blood patient", "A549 infected", "HepG2 hypoxia"),
    *('"bone marrow"', '"MCF-7 treated"', '"skin normal"', '"K562 control"', '"lung virus"'),
    *("hepat*", "neutro*", "metasta*", "dexa*", "term29*"),
    *("liver OR hepatocyte", "HeLa OR K562", "LPS OR interferon", "term5 OR term6", "CD4 OR CD8"),
    *(
        "liver NOT tumor",
        "blood NOT patient",
        "HEK293 NOT siRNA",
        "skin NOT normal",
        "A549 NOT mock",
    ),
    *("title:kidney", "source:spleen", "title:THP-1", "characteristics:fetal", "source:retina"),
    *("GSE1200", "GSE77", "GSE4021", "GSE31", "GSE999"),
    *(
        "liver | platform_id=GPL16791",
        "brain | alignedreads>2e7",
        "heart | singlecellprobability<0.5 submission_date>=2019-01-01",
        "PBMC | title~rep[12]$",
        "colon | characteristics~age: 6\\d",
    ),
]


def make_texts(rng, n_samples):
    """Title, source, characteristics of each sample."""
    chances = 1 / np.arange(1, 3001)
    rare = rng.choice(3000, size=(n_samples, 4), p=chances / chances.sum())
    chances = 1 / np.arange(1, len(WORDS) + 1) ** 0.7
    common = rng.choice(len(WORDS), size=(n_samples, 4), p=chances / chances.sum())
    tissues = rng.integers(0, len(TISSUES), n_samples)
    ages = rng.integers(18, 90, n_samples)
    for i in range(n_samples):
        tissue = TISSUES[tissues[i]].replace("_", " ")
        words = [WORDS[k] for k in common[i]]
        terms = [f"term{k}" for k in rare[i]]
        title = f"{tissue} {words[0]} {terms[0]} rep{i % 4 + 1}"
        text = f"tissue: {tissue},treatment: {words[1]} {words[2]},age: {ages[i]},{' '.join(terms)}"
        yield title, tissue, f"{text},{words[3]}"


def make_file(path, n_samples):
    """A v2.6 file with one gene: only its sample fields matter here."""
    rng = np.random.default_rng(0)
    titles, sources, characteristics = zip(*make_texts(rng, n_samples), strict=True)
    days = np.datetime64("2012-01-01") + np.sort(rng.integers(0, 4500, n_samples))
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    dates = [f"{months[int(d[5:7]) - 1]} {d[8:]} {d[:4]}" for d in days.astype(str)]
    series = np.sort(rng.integers(0, max(1, n_samples // 20), n_samples))
    fields = {
        "geo_accession": [f"GSM{1_000_000 + i}" for i in range(n_samples)],
        "series_id": [f"GSE{k}" if k % 9 else f"GSE{k},GSE{k + 1}" for k in series],
        "title": titles,
        "source_name_ch1": sources,
        "characteristics_ch1": characteristics,
        "extract_protocol_ch1": [f"Total RNA was extracted, protocol {k % 977}." for k in series],
        "platform_id": [("GPL16791", "GPL24676", "GPL20301", "GPL11154")[k % 4] for k in series],
        "submission_date": dates,
    }
    with h5py.File(path, "w") as file:
        file["data/expression"] = np.zeros((1, n_samples), dtype="u4")
        group = file.create_group("meta/samples")
        options = {"dtype": h5py.string_dtype(), "compression": "gzip", "chunks": (2048,)}
        for name, texts in fields.items():
            group.create_dataset(name, data=np.array(texts, dtype=object), **options)
        group["alignedreads"] = rng.gamma(4, 5e6, n_samples)
        group["singlecellprobability"] = rng.beta(0.3, 0.6, n_samples)
        for name, text in {"symbol": "TP53", "ensembl_gene": "ENSG00000141510"}.items():
            file.create_dataset(f"meta/genes/{name}", data=[text], dtype=h5py.string_dtype())
    return path


def timed(function):
    start, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - start, time.process_time() - cpu


BUILD_SCRIPT = """
import resource, sys, time
from expressome.archs4.catalogue import open_catalogue
from expressome.archs4.reader import open_archs4
compendium = open_archs4(sys.argv[1])
start, cpu = time.perf_counter(), time.process_time()
open_catalogue(compendium)
print(time.perf_counter() - start, time.process_time() - cpu)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def build(path):
    """Build the index in a process of its own: seconds, processor time, peak MiB."""
    # A process starts with the peak of the one that started it; a shell between has none.
    command = ["/bin/sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-c", BUILD_SCRIPT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


def count_by_scanning(compendium, query):
    """The truth of a query of one word and conditions, read from the file."""
    word, _, conditions = query.partition(" | ")
    pattern = re.compile(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", re.IGNORECASE)
    is_found = np.zeros(compendium.n_samples, bool)
    for name in ("series", "title", "source", "characteristics"):
        is_found |= [bool(pattern.search(text)) for text in compendium.field(name)]
    for condition in filter(None, conditions.split(" submission")[:1]):
        from expressome.archs4.conditions import FieldValues

        parsed = parse_condition(condition)
        is_found &= meets_condition(FieldValues.of(compendium.field(parsed.field)), parsed)
    return int(is_found.sum())


def ask(path, query):
    text, _, conditions = query.partition(" | ")
    parts = conditions.split(" submission")
    where = [parts[0], *(f"submission{part}" for part in parts[1:])] if conditions else []
    return search(path, text, where=where, limit=20)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="Where to keep the file, else removed.")
    parser.add_argument("--without-archs4py", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        path = folder / f"simulated-{arguments.samples}.h5"
        if not path.exists():
            make_file(path, arguments.samples)
        path.with_name(path.name + ".catalogue.sqlite").unlink(missing_ok=True)
        compendium = open_archs4(path)
        seconds, cpu, peak_mib = build(path)
        size = open_catalogue(compendium).path.stat().st_size / 1e6
        print(f"{arguments.samples:,} samples: index of {size:.0f} MB built in {seconds:.1f} s")
        print(f"  ({cpu:.1f} s of processor time, peak memory {peak_mib:.0f} MiB)")
        for query in ("HeLa", "liver | platform_id=GPL16791"):
            found, truth = ask(path, query).attrs["n_found"], count_by_scanning(compendium, query)
            print(f"  {query!r}: {found:,} found, {truth:,} by reading every text")
            if found != truth:
                sys.exit("the index and the file disagree")
        times = []
        for query in QUERIES:
            table, wall, cpu = timed(lambda query=query: ask(path, query))
            times.append((wall * 1e3, cpu * 1e3))
            print(f"  {query:62}{table.attrs['n_found']:>10,}{wall * 1e3:>9.1f} ms", end="")
            print(f"{cpu * 1e3:>9.1f} ms cpu", flush=True)
        wall, cpu = np.median(times, axis=0)
        print(f"median of {len(times)} queries: {wall:.1f} ms ({cpu:.1f} ms of processor time)")
        if not arguments.without_archs4py:
            import archs4py

            for term in ("liver", "term311"):
                _, seconds, cpu = timed(lambda term=term: archs4py.meta.meta(str(path), term))
                print(f"archs4py 1.0.4 meta.meta({term!r}): {seconds:.1f} s ({cpu:.1f} s)")


if __name__ == "__main__":
    main()
