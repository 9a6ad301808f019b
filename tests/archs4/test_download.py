"""A download ends with the whole, right file, or says why not; a kill costs nothing."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from tests.support.build import make_archs4, make_counts
from tests.support.range_server import serve

from expressome.archs4 import transfer
from expressome.archs4.releases import find_release, read_index
from expressome.cli.download import INDEX_URL, LEVELS
from expressome.cli.main import cli
from expressome.errors import (
    DamagedFileError,
    DiskSpaceError,
    FileFormatError,
    InputNotFoundError,
    InvalidValueError,
    OutputExistsError,
    RemoteError,
)
from expressome.pipeline import download

NAME = "human_gene_v2.6.h5"


class Place(NamedTuple):
    server: Any
    options: dict
    out: Path
    content: bytes


@pytest.fixture(autouse=True)
def _impatience(monkeypatch):
    monkeypatch.setenv("EXPRESSOME_TIMEOUT", "0.4")
    monkeypatch.setenv("EXPRESSOME_TRIES", "3")
    monkeypatch.setenv("EXPRESSOME_BACKOFF", "0.01")


@pytest.fixture
def site(tmp_path):
    """A site with one file and its list; the file holds 7 x 9 counts."""
    folder, out = tmp_path / "site", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    content = make_archs4(folder / NAME, 7, 9).read_bytes()
    write_index(folder, checksum=hashlib.sha1(content).hexdigest(), file_size=len(content))
    with serve(folder) as server:
        options = {"index_url": server.url("index.json"), "mirror": (server.url(""),), "out": out}
        yield Place(server, options, out, content)


def write_index(folder, **fields):
    entry = {
        "species": "human", "data_level": "gene", "version_major": 2, "version_minor": "6",
        "samples": 7, "timestamp": "2025-01-02T00:00:00",
    }  # fmt: skip
    older = {**entry, "checksum": "0" * 40, "file_size": 5, "timestamp": "2024-01-01T00:00:00"}
    entries = [{**entry, **fields}, older]
    (folder / "index.json").write_text(json.dumps({"versionfiles": entries}))


def test_a_file_arrives_checked_and_with_its_record(site):
    summary = download("human", **site.options)

    assert (site.out / NAME).read_bytes() == site.content
    assert summary.figures["compared"] == ["sha1"]
    record = json.loads((site.out / f"{NAME}.manifest.json").read_text())["parameters"]
    assert record["sha256"] == hashlib.sha256(site.content).hexdigest()
    assert record["url"] == site.server.url(NAME)
    assert sorted(path.name for path in site.out.iterdir()) == [NAME, f"{NAME}.manifest.json"]


@pytest.mark.parametrize("fault", ["truncate", "stall", "error"])
def test_a_broken_transfer_goes_on_where_it_stopped(site, fault):
    site.server.spans = []
    site.server.faults = ["", fault]

    summary = download("human", **site.options)

    assert (site.out / NAME).read_bytes() == site.content
    half = len(site.content) // 2
    expected = [(0, half), (half, len(site.content))] if fault != "error" else [(0, 2 * half)]
    assert [span[0] for span in site.server.spans[1:]] == [span[0] for span in expected]
    assert summary.figures["bytes"] == len(site.content)


def test_a_kill_in_the_middle_costs_nothing_but_the_rest(tmp_path):
    folder, out = tmp_path / "site", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    counts = make_counts(300, 400)
    content = make_archs4(folder / "big.h5", counts=counts, compression=None).read_bytes()
    partial = out / "big.h5.partial"
    with serve(folder) as server:
        server.slow_s = 0.3
        command = [sys.executable, "-m", "expressome", "download", server.url("big.h5")]
        process = subprocess.Popen([*command, "--out", str(out)], env={**os.environ})
        while process.poll() is None and (not partial.exists() or partial.stat().st_size == 0):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        n_there = partial.stat().st_size
        server.slow_s, server.spans = 0, []

        summary = download(server.url("big.h5"), out=out)

    assert 0 < n_there < len(content)
    assert (out / "big.h5").read_bytes() == content
    assert server.spans[0][0] == n_there == summary.figures["n_resumed"]


def test_a_run_stopped_after_the_last_byte_fetches_nothing_again(site):
    etag = f'"{hashlib.sha1(site.content).hexdigest()}"'
    partial = site.out / f"{NAME}.partial"
    partial.write_bytes(site.content)
    note = {"url": site.server.url(NAME), "etag": etag, "size_bytes": len(site.content)}
    partial.with_name(f"{NAME}.partial.json").write_text(json.dumps(note))

    download("human", **site.options)

    assert (site.out / NAME).read_bytes() == site.content
    assert site.server.n_requests == 1  # the list


def test_what_another_content_left_is_not_continued(site):
    partial = site.out / f"{NAME}.partial"
    partial.write_bytes(b"x" * 100)
    note = {"url": site.server.url(NAME), "etag": '"another"', "size_bytes": 999}
    partial.with_name(f"{NAME}.partial.json").write_text(json.dumps(note))

    summary = download("human", **site.options)

    assert (site.out / NAME).read_bytes() == site.content
    assert summary.figures["n_resumed"] == 0


def test_a_wrong_checksum_keeps_the_file_aside_and_says_so(site):
    write_index(site.server.folder, checksum="1" * 40, file_size=len(site.content))

    with pytest.raises(DamagedFileError) as caught:
        download("human", **site.options)

    aside = site.out / f"{NAME}.corrupt"
    assert str(caught.value) == (
        f"{NAME} has SHA1 {hashlib.sha1(site.content).hexdigest()}, but {'1' * 40} is expected; it "
        f"is kept as {aside} ({len(site.content):,} bytes) and not used. Download it again, from "
        "another mirror if this repeats; if `expressome verify` can read all of it, the published "
        "checksum may be out of date"
    )
    assert [path.name for path in site.out.iterdir()] == [aside.name]


def test_the_fallback_mirror_is_tried_when_the_first_has_nothing(site):
    mirrors = (site.server.url("empty/"), site.server.url(""))

    summary = download("human", **site.options | {"mirror": mirrors})

    assert summary.figures["url"] == site.server.url(NAME)
    assert (site.out / NAME).read_bytes() == site.content


def test_all_mirrors_failing_is_said_of_each(site):
    mirrors = (site.server.url("a/"), site.server.url("b/"))

    with pytest.raises(InputNotFoundError, match="b/human_gene") as caught:
        download("human", **site.options | {"mirror": mirrors})

    assert "a/human_gene_v2.6.h5 does not exist" in caught.value.__notes__[0]


def test_a_file_of_another_size_than_listed_is_refused(site):
    write_index(site.server.folder, checksum="", file_size=12345)

    with pytest.raises(RemoteError, match=r"bytes, but the list of files says 12,345"):
        download("human", **site.options)


def test_without_list_the_file_comes_unchecked_but_recorded(site):
    summary = download("human", **site.options | {"index_url": ""})

    assert (summary.figures["compared"], summary.figures["known_from"]) == ([], "shipped")
    assert summary.figures["sha1"] == hashlib.sha1(site.content).hexdigest()


def test_an_unchecked_file_that_is_no_archs4_file_is_kept_aside(site):
    (site.server.folder / "page.h5").write_text("<html>sign in</html>")

    with pytest.raises(DamagedFileError, match=r"page\.h5 is no ARCHS4 file \(.* \(20 bytes"):
        download(site.server.url("page.h5"), out=site.out)

    assert (site.out / "page.h5.corrupt").exists()


def test_a_server_without_ranges_can_still_be_downloaded_from(site):
    site.server.gives_ranges = False

    download("human", **site.options)

    assert (site.out / NAME).read_bytes() == site.content


def test_a_full_disk_is_told_before_anything_is_fetched(site, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))

    with pytest.raises(DiskSpaceError) as caught:
        download("human", **site.options)

    assert str(caught.value) == (
        f"{site.out} has 1,000 bytes free, but {len(site.content):,} are still to come and "
        "268,435,456 should stay free; make room or choose another folder"
    )
    assert not list(site.out.iterdir())


def test_dry_run_tells_the_plan_and_writes_nothing(site):
    plan = download("human", dry_run=True, **site.options).figures

    assert plan["urls"] == (site.server.url(NAME),)
    assert (plan["size_bytes"], plan["n_samples"]) == (len(site.content), 7)
    assert plan["sha1"] == hashlib.sha1(site.content).hexdigest()
    assert not list(site.out.iterdir())


def test_an_existing_file_is_not_replaced_unless_asked(site):
    (site.out / NAME).write_text("mine")

    with pytest.raises(OutputExistsError, match="exists; choose another output"):
        download("human", **site.options)
    download("human", overwrite=True, **site.options)

    assert (site.out / NAME).read_bytes() == site.content


def test_two_processes_do_not_write_one_file(site):
    partial = site.out / f"{NAME}.partial"
    with transfer._only_writer(partial), pytest.raises(OutputExistsError, match="another process"):
        transfer.download_file([site.server.url(NAME)], partial)


def test_a_version_the_site_lacks_is_said_with_those_it_has(site):
    with pytest.raises(
        InvalidValueError, match=r"no version 9\.9 of human gene files; it has 2\.6"
    ):
        download("human", version="9.9", **site.options)


def test_an_unknown_species_is_said():
    with pytest.raises(InvalidValueError, match="species 'rat'; choose one of human, mouse"):
        find_release("rat", index_url="")


def test_a_page_that_is_no_list_is_refused_and_a_download_goes_on_without(site, caplog):
    (site.server.folder / "index.json").write_text("<html>")

    with pytest.raises(FileFormatError, match=r"is no list of ARCHS4 files \(6 bytes"):
        read_index(site.options["index_url"])
    summary = download("human", **site.options)

    assert summary.figures["known_from"] == "shipped"
    assert "going on without checksum" in caplog.text


def test_shipped_addresses_follow_the_published_names():
    release = find_release("mouse", level="transcript", version="2.4", index_url="")

    assert release.urls == (
        "https://s3.dev.maayanlab.cloud/archs4/files/mouse_transcript_v2.4.h5",
        "https://s3.amazonaws.com/mssm-data/mouse_transcript_v2.4.h5",
    )
    assert find_release("human", version="2.9", index_url="").name == "human_gene_v2.9.h5"


def test_the_command_downloads_and_its_choices_are_the_library_s(site):
    from expressome.archs4 import releases

    options = ["--index-url", site.options["index_url"], "--mirror", site.options["mirror"][0]]
    result = CliRunner().invoke(cli, ["download", "human", *options, "--out", str(site.out)])

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["path"] == str(site.out / NAME)
    assert (LEVELS, INDEX_URL) == (releases.LEVELS, releases.INDEX_URL)


def test_the_downloaded_file_reads(site):
    from expressome import open_archs4

    download("human", **site.options)

    np.testing.assert_array_equal(open_archs4(site.out / NAME).counts(), make_counts(7, 9))
