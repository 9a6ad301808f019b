"""GTF files: every base counted, every flaw named."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rnanorm.annotation import GTF

from expressome.errors import (
    DamagedFileError,
    FileFormatError,
    InputNotFoundError,
    MissingFieldError,
)
from expressome.reference import annotation as module
from expressome.reference.annotation import read_annotation, sum_transcripts, unite_exons
from expressome.reference.identifiers import strip_version
from expressome.reference.lengths import load_lengths

MODELS = Path(__file__).parent / "models.gtf"
EXON = 'chr1\tx\texon\t{}\t{}\t.\t{}\t.\tgene_id "{}"; transcript_id "{}";\n'
GENE = 'chr1\tx\tgene\t1\t9\t.\t+\t.\tgene_id "{}";\n'


@pytest.mark.parametrize(
    ("definition", "lengths_bp"),
    [
        # LONG: 3 x 100 beats 100 + 10; 101-250, 301-400, 601-700, 991-1000; 151 to 1000.
        ("spliced", [300, 100, 10, 15]),
        ("union", [360, 100, 10, 15]),
        ("span", [850, 100, 10, 15]),
    ],
)
def test_lengths_of_hand_made_genes(definition, lengths_bp):
    lengths = load_lengths("human", definition=definition, gtf=MODELS)

    assert lengths["length_bp"].tolist() == lengths_bp
    assert lengths.index.tolist() == [
        "ENSG00000000001",
        "ENSG00000000002",
        "ENSG00000000003",
        "ENSG00000000003_PAR_Y",
    ]
    assert lengths["symbol"].tolist() == ["LONG", "SHORT", "PAR", "PAR"]
    assert lengths["biotype"].tolist() == ["protein_coding", "snRNA", "lncRNA", "lncRNA"]
    assert lengths.attrs["source"] == f"models.gtf ({definition})"
    assert lengths.index.name == "gene"


def test_transcripts_are_measured_one_by_one():
    found = sum_transcripts(read_annotation(MODELS))

    assert found.loc[("ENSG00000000001", "ENST00000000011")].tolist() == [300, 600]
    assert found.loc[("ENSG00000000001", "ENST00000000012")].tolist() == [110, 850]


def test_a_transcript_level_file_gets_the_length_of_each_transcript():
    spliced = load_lengths("human", gtf=MODELS, level="transcript")
    span = load_lengths("human", definition="span", gtf=MODELS, level="transcript")

    assert spliced["length_bp"].to_dict() == {
        "ENST00000000011": 300,
        "ENST00000000012": 110,
        "ENST00000000021": 100,
        "ENST00000000031": 10,
        "ENST00000000031_PAR_Y": 15,
    }
    assert span["length_bp"].tolist() == [600, 850, 100, 10, 15]
    assert spliced.loc["ENST00000000012", ["symbol", "biotype"]].tolist() == [
        "LONG",
        "protein_coding",
    ]


def test_transcript_lengths_are_not_shipped():
    with pytest.raises(MissingFieldError, match="pass the GTF"):
        load_lengths("human", level="transcript")


def test_gzip_and_windows_lines_and_small_blocks_change_nothing(tmp_path, monkeypatch):
    expected = load_lengths("human", gtf=MODELS)
    zipped = tmp_path / "models.txt"
    zipped.write_bytes(gzip.compress(MODELS.read_bytes().replace(b"\n", b"\r\n")))
    monkeypatch.setattr(module, "_BLOCK_BYTES", 37)

    found = load_lengths("human", gtf=zipped)

    assert found.equals(expected)


def test_union_equals_rnanorm_on_the_hand_made_genes():
    truth = GTF(MODELS).length

    found = unite_exons(read_annotation(MODELS))

    assert found.tolist() == truth.tolist()


def test_union_equals_rnanorm_on_a_real_chromosome(shared_data):
    path = shared_data / "gene-lengths" / "gencode.v26.annotation.chr21.gtf.gz"
    truth = GTF(path).length
    truth.index = [strip_version(gene) for gene in truth.index]

    found = load_lengths("human", definition="union", gtf=path)["length_bp"]

    assert len(found) == 837
    assert found.equals(truth.reindex(found.index).astype(float).rename("length_bp"))


@settings(max_examples=40)
@given(
    exons=st.lists(
        st.tuples(
            st.integers(1, 60),
            st.integers(1, 30),
            st.sampled_from("+-"),
            st.integers(0, 2),
            st.integers(0, 1),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_lengths_equal_counting_bases_one_by_one(exons, tmp_path_factory):
    path = tmp_path_factory.mktemp("gtf") / "random.gtf"
    lines, covered, of_transcript = "", {}, {}
    for start, size, strand, gene, transcript in exons:
        name = f"G{gene}{strand}", f"T{gene}{strand}{transcript}"
        lines += EXON.format(start, start + size - 1, strand, *name)
        bases = range(start, start + size)
        covered.setdefault(name[0], set()).update(bases)
        of_transcript.setdefault(name, {})[bases] = size
    path.write_text(lines)

    annotation = read_annotation(path)
    union, transcripts = unite_exons(annotation), sum_transcripts(annotation)

    assert union.to_dict() == {gene: len(bases) for gene, bases in covered.items()}
    assert transcripts["spliced_bp"].to_dict() == {
        name: sum(found.values()) for name, found in of_transcript.items()
    }
    assert transcripts["span_bp"].to_dict() == {
        name: max(b.stop for b in found) - min(b.start for b in found)
        for name, found in of_transcript.items()
    }


def test_without_transcripts_only_the_union_is_known(tmp_path):
    path = tmp_path / "bare.gtf"
    path.write_text(
        EXON.format(1, 10, "+", "G1", "T1")
        + EXON.replace("transcript", "x").format(1, 4, "+", "G2", "T2")
    )

    assert load_lengths("mouse", definition="union", gtf=path)["length_bp"].tolist() == [10, 4]
    with pytest.raises(MissingFieldError, match=r"1 of 2 exon lines .*definition='union'"):
        load_lengths("mouse", gtf=path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is empty \(0 lines\)|is empty \(1 lines\)"),
        ("# only a comment\n", "is empty"),
        ("gene,length\nA,5\n", "first line has 1 tab-separated fields instead of 9"),
        (GENE.format("G"), r"holds no exon line \(1 lines\)"),
        ("#c\n" + EXON.format(9, 3, "+", "G", "T"), "line 2: the exon runs from 9 to 3"),
        (EXON.format(0, 3, "+", "G", "T"), "line 1: the exon runs from 0 to 3"),
        (EXON.format("a", 3, "+", "G", "T"), "line 1: the exon runs from a to 3, which are not"),
        ("chr1\tx\texon\t1\t9\t.\t+\t.\tID=exon1;Parent=T\n", r"line 1: no gene_id .* GFF3"),
        ("chr1\tx\texon\t1\t9\t.\t+\t.\tgene_id G\n", r"no gene_id .* not written as gene_id"),
    ],
    ids=["empty", "comment", "csv", "no-exon", "backwards", "zero", "letter", "gff3", "unquoted"],
)
def test_what_is_no_gtf_is_refused(tmp_path, text, message):
    path = tmp_path / "wrong.gtf"
    path.write_text(text)

    with pytest.raises(FileFormatError, match=message):
        read_annotation(path)


def test_a_cut_file_is_damaged(tmp_path, rng):
    noise = "".join(
        EXON.format(i + 1, i + rng.integers(2, 99), "+", "G", f"T{i}") for i in range(500)
    )
    whole = gzip.compress(noise.encode())
    path = tmp_path / "cut.gtf.gz"
    path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(DamagedFileError, match=r"cut off after [\d,]+ bytes of text"):
        read_annotation(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(InputNotFoundError, match=r"none\.gtf does not exist"):
        read_annotation(tmp_path / "none.gtf")


def test_an_image_is_no_gtf(tmp_path):
    path = tmp_path / "picture.gtf"
    path.write_bytes(bytes(np.arange(256, dtype=np.uint8)) * 10)

    with pytest.raises(FileFormatError, match="is not a GTF"):
        read_annotation(path)


def test_a_gene_whose_id_is_no_utf8_is_named(tmp_path):
    path = tmp_path / "spoilt.gtf"
    path.write_bytes(EXON.format(1, 3, "+", "Gx", "T").encode().replace(b"Gx", b"G\xae"))

    with pytest.raises(FileFormatError, match=r"holds the name b'G\\xae', which is not UTF-8"):
        read_annotation(path)
