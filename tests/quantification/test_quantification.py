"""kallisto's estimates become a count table; a stand-in shows what is asked of it."""

import gzip
import json
import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from expressome.cli.main import cli
from expressome.engine import Resources
from expressome.errors import (
    FileFormatError,
    FractionalCountsWarning,
    IdentifierError,
    InputNotFoundError,
    InvalidValueError,
    LeftOutWarning,
    ProgramError,
)
from expressome.pipeline import quantify
from expressome.quantification import group_reads, read_abundance, sum_genes
from expressome.tables import read_counts

EXAMPLES = Path("/usr/share/doc/kallisto/test")

# Writes what kallisto would: two transcripts of one gene, one of another, by file size.
STAND_IN = f"""#!{sys.executable}
import json, pathlib, sys
words = sys.argv[1:]
if words == ["version"]:
    print("kallisto, version 0.46.1"); sys.exit(0)
if "broken" in words[-1]:
    print("Error: incompatible indices", file=sys.stderr); sys.exit(1)
out = pathlib.Path(words[words.index("-o") + 1])
(out / "run_info.json").write_text(json.dumps({{"n_processed": 90, "n_pseudoaligned": 80}}))
pathlib.Path(words[words.index("-i") + 1] + ".asked").write_text(json.dumps(words))
size = pathlib.Path(words[-1]).stat().st_size
rows = [("ENST00000000001.3", 1.25 * size), ("ENST00000000002.1", 1.25), ("ENST00000000003.9", 7)]
lines = [f"{{t}}\\t1000\\t900\\t{{c}}\\t1" for t, c in rows]
head = "target_id\\tlength\\teff_length\\test_counts\\ttpm"
(out / "abundance.tsv").write_text("\\n".join([head, *lines]) + "\\n")
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "kallisto"
    program.write_text(STAND_IN)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    return program


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "t.idx").write_text("index")
    (tmp_path / "map.tsv").write_text(
        "transcript_id\tgene_id\nENST00000000001.3\tENSG00000000002.5\nENST00000000002.1\tENSG00000000002.5\nENST00000000003.9\tENSG00000000001.1\n"
    )
    for name, size in (("a_1.fastq", 4), ("a_2.fastq", 4), ("b.fastq.gz", 5), ("broken.fq", 1)):
        (tmp_path / name).write_bytes(b"x" * size)
    return {"index": tmp_path / "t.idx", "transcript_map": tmp_path / "map.tsv"}


def test_transcripts_are_summed_and_the_sums_rounded_half_to_even(stand_in, inputs, tmp_path):
    reads = [tmp_path / "a_1.fastq", tmp_path / "a_2.fastq", f"B={tmp_path / 'b.fastq.gz'}"]

    summary = quantify(reads, out=tmp_path / "c.tsv", fragment_length=200, sd=30, **inputs)

    table = pd.read_csv(tmp_path / "c.tsv", sep="\t", index_col=0)
    # a: 5 + 1.25 = 6.25 -> 6; b: 6.25 + 1.25 = 7.5 -> 8 (half to even)
    expected = pd.DataFrame(
        {"a": [6, 7], "B": [8, 7]}, index=["ENSG00000000002", "ENSG00000000001"]
    )
    pd.testing.assert_frame_equal(table, expected, check_names=False)
    assert summary.figures["n_rounded"] == 2
    assert summary.figures["samples"]["a"] == {"n_reads": 90, "n_aligned": 80}
    assert json.loads((tmp_path / "c.tsv.manifest.json").read_text())["parameters"]["kallisto"] == (
        "0.46.1"
    )
    read = read_counts(tmp_path / "c.tsv")
    np.testing.assert_array_equal(read.counts, expected.to_numpy().T)


def test_kallisto_is_asked_word_by_word(stand_in, inputs, tmp_path):
    reads = f"x={tmp_path / 'b.fastq.gz'}"

    quantify(
        [reads],
        out=tmp_path / "c.tsv",
        fragment_length=180.5,
        sd=20,
        resources=Resources(workers=3),
        **inputs,
    )

    asked = json.loads((tmp_path / "t.idx.asked").read_text())
    assert asked[:4] == ["quant", "--plaintext", "-i", str(tmp_path / "t.idx")]
    assert asked[6:] == [
        "-t", "3", "--single", "-l", "180.5", "-s", "20", str(tmp_path / "b.fastq.gz"),
    ]  # fmt: skip


def test_estimates_may_be_kept_and_are_rounded_by_who_reads_them(stand_in, inputs, tmp_path):
    reads = [tmp_path / "a_1.fastq", tmp_path / "a_2.fastq"]

    quantify(reads, out=tmp_path / "c.tsv.gz", fractional=True, **inputs)

    with gzip.open(tmp_path / "c.tsv.gz", "rt") as file:
        assert file.read() == "gene\ta\nENSG00000000002\t6.25\nENSG00000000001\t7.0\n"
    with pytest.warns(FractionalCountsWarning):
        assert read_counts(tmp_path / "c.tsv.gz").n_rounded == 1


def test_transcripts_without_gene_are_left_out_with_their_share(stand_in, inputs, tmp_path):
    inputs["transcript_map"].write_text(
        "ENST00000000001\tENSG00000000002\nENST00000000002\tENSG00000000002\n"
    )
    reads = [tmp_path / "a_1.fastq", tmp_path / "a_2.fastq"]

    with pytest.warns(LeftOutWarning) as caught:
        quantify(reads, out=tmp_path / "c.tsv", **inputs)

    assert str(caught[0].message) == (
        "1 of 3 transcripts belong to no known gene (ENST00000000003.9) and were left out with "
        "52.83% of the counts"
    )


def test_a_map_of_another_transcriptome_is_told(stand_in, inputs, tmp_path):
    inputs["transcript_map"].write_text("ENSMUST00000000001\tENSMUSG00000000001\n")
    reads = [tmp_path / "a_1.fastq", tmp_path / "a_2.fastq"]

    with pytest.raises(IdentifierError, match=r"none of the 3 transcripts .* is among the 1 of"):
        quantify(reads, out=tmp_path / "c.tsv", **inputs)


def test_without_gtf_or_map_genes_must_be_in_the_names(stand_in, inputs, tmp_path):
    reads = [tmp_path / "a_1.fastq", tmp_path / "a_2.fastq"]

    with pytest.raises(InvalidValueError, match="do not name their genes; pass gtf or transcript"):
        quantify(reads, index=inputs["index"], out=tmp_path / "c.tsv")

    stand_in.write_text(
        STAND_IN.replace("ENST00000000001.3", "ENST00000000001.3|ENSG00000000007.2|OTT|X|")
    )
    with pytest.warns(LeftOutWarning, match="2 of 3 transcripts"):
        quantify(reads, index=inputs["index"], out=tmp_path / "c.tsv")
    assert (tmp_path / "c.tsv").read_text() == "gene\ta\nENSG00000000007\t5\n"


def test_a_missing_program_says_how_to_install_it(inputs, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ProgramError) as caught:
        quantify([f"a={tmp_path / 'b.fastq.gz'}"], out=tmp_path / "c.tsv", **inputs)

    assert str(caught.value) == (
        "the program kallisto is not on the PATH; install it: `apt install kallisto` (Debian, "
        "Ubuntu), `brew install kallisto` (macOS), `conda install -c bioconda kallisto`, or from "
        "https://pachterlab.github.io/kallisto"
    )


def test_a_failure_of_kallisto_is_told_in_its_words(stand_in, inputs, tmp_path):
    with pytest.raises(ProgramError) as caught:
        quantify(
            [f"s={tmp_path / 'broken.fq'}"],
            out=tmp_path / "c.tsv",
            fragment_length=200,
            sd=30,
            **inputs,
        )

    assert str(caught.value) == (
        "kallisto ended with status 1: Error: incompatible indices; check the index and the reads"
    )
    assert caught.value.__notes__ == ["while quantifying sample s"]
    assert not (tmp_path / "c.tsv").exists()


def test_single_ends_need_a_fragment_length(stand_in, inputs, tmp_path):
    with pytest.raises(
        InvalidValueError, match="sample s are single ends, for which kallisto need"
    ):
        quantify([f"s={tmp_path / 'b.fastq.gz'}"], out=tmp_path / "c.tsv", **inputs)


def test_missing_reads_are_told_before_anything_runs(inputs, tmp_path):
    with pytest.raises(InputNotFoundError, match=r"c_1\.fq does not exist"):
        quantify([tmp_path / "c_1.fq", tmp_path / "c_2.fq"], out=tmp_path / "c.tsv", **inputs)


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        (["p/a_1.fastq.gz", "p/a_2.fastq.gz"], [("a", 2, True)]),
        (["a_R2_001.fq", "a_R1_001.fq"], [("a", 2, True)]),
        (["SRR1.fastq", "SRR2.fastq"], [("SRR1", 1, False), ("SRR2", 1, False)]),
        (["liver=x.fq,y.fq", "liver=z.fq,w.fq"], [("liver", 4, True)]),
        (["tp1.5_1.fq", "tp1.5_2.fq"], [("tp1.5", 2, True)]),
    ],
    ids=str,
)
def test_files_are_sorted_into_samples_by_name(reads, expected):
    found = group_reads(reads)

    assert [(r.sample, len(r.files), r.is_paired) for r in found] == expected
    if "a_R2_001.fq" in reads:
        assert [file.name for file in found[0].files] == ["a_R1_001.fq", "a_R2_001.fq"]


def test_single_is_said_for_files_that_look_like_mates():
    found = group_reads(["a_1.fq", "b_1.fq"], is_single=True)

    assert [(r.sample, r.is_paired) for r in found] == [("a_1", False), ("b_1", False)]


@pytest.mark.parametrize(
    ("reads", "error", "message"),
    [
        (["a_1.fq"], InvalidValueError, "sample a has a_1.fq but not the other end"),
        (["s=a.fq,b.fq,c.fq"], InvalidValueError, "sample s has 3 files, an odd number"),
        (["x/a_1.fq", "y/a_1.fq"], InvalidValueError, "are both end 1 of sample a"),
        (["s=a.fq", "t=a.fq"], IdentifierError, r"1 files are given twice \(a.fq\)"),
        (["=a.fq"], InvalidValueError, "names a sample without file"),
        ([], InvalidValueError, "no FASTQ file was given"),
    ],
    ids=str,
)
def test_reads_that_make_no_samples_are_refused(reads, error, message):
    with pytest.raises(error, match=message):
        group_reads(reads)


def test_estimates_that_are_no_numbers_are_refused(tmp_path):
    (tmp_path / "abundance.tsv").write_text("target_id\test_counts\nT1\t-nan\nT2\t3\n")

    with pytest.raises(FileFormatError, match=r"1 of 2 transcripts in abundance\.tsv have an"):
        read_abundance(tmp_path / "abundance.tsv")


def test_sums_are_those_of_a_loop(rng):
    counts = pd.DataFrame(rng.gamma(1, 50, (40, 3)), columns=["a", "b", "c"])
    genes = [f"G{g}" if g else "" for g in rng.integers(0, 9, 40)]

    sums = sum_genes(counts, genes)

    for gene in set(genes) - {""}:
        rows = [i for i, name in enumerate(genes) if name == gene]
        np.testing.assert_allclose(sums.loc[gene], counts.iloc[rows].sum(), rtol=1e-12)
    assert "" not in sums.index


@pytest.mark.skipif(
    shutil.which("kallisto") is None or not EXAMPLES.is_dir(),
    reason="kallisto and its examples are not installed (apt install kallisto kallisto-examples)",
)
@pytest.mark.parametrize("is_single", [False, True], ids=["paired", "single"])
def test_the_real_kallisto_on_its_own_example(tmp_path, is_single):
    import subprocess

    fasta = tmp_path / "t.fa"
    fasta.write_bytes(gzip.decompress((EXAMPLES / "transcripts.fasta.gz").read_bytes()))
    subprocess.run(
        ["kallisto", "index", "-i", tmp_path / "t.idx", fasta], check=True, capture_output=True
    )
    reads = [EXAMPLES / f"reads_{end}.fastq.gz" for end in (1, 2)]
    options = ["--single", "--fragment-length", "180", "--sd", "20"] if is_single else []
    given = [f"S={reads[0]}"] if is_single else [f"S={reads[0]},{reads[1]}"]

    result = CliRunner().invoke(
        cli,
        [
            "quantify", "--index", str(tmp_path / "t.idx"), *given, *options,
            "--gtf", str(EXAMPLES / "transcripts.gtf.gz"), "--out", str(tmp_path / "c.tsv"),
        ],
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)
    table = pd.read_csv(tmp_path / "c.tsv", sep="\t", index_col=0)
    assert figures["samples"]["S"]["n_reads"] == 10_000
    assert table.index.str.fullmatch(r"ENSG\d{11}").all()
    # Every aligned read is counted once, up to rounding per gene.
    n_aligned = figures["samples"]["S"]["n_aligned"]
    assert abs(table["S"].sum() - n_aligned) <= len(table)
    if not is_single:
        shipped = pd.read_csv(EXAMPLES / "quant_out" / "abundance.tsv", sep="\t")
        assert abs(shipped["est_counts"].sum() - table["S"].sum()) <= len(table)
