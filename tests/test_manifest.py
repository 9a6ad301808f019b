import hashlib

from expressome import manifest
from expressome.manifest import create_manifest, fingerprint_file


def test_a_manifest_names_inputs_by_checksum(tmp_path):
    file = tmp_path / "counts.tsv"
    file.write_bytes(b"gene\n")

    entry = create_manifest("pack", inputs=[file], parameters={"genes": "common"}, seed=3)

    assert entry["inputs"][0]["sha256"] == hashlib.sha256(b"gene\n").hexdigest()
    assert entry["seed"] == 3
    assert entry["versions"]["expressome"]
    assert "Lachmann" in entry["citation"]


def test_a_large_file_is_identified_by_spread_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "_FULL_HASH_BYTES", 100)
    monkeypatch.setattr(manifest, "_PIECE_BYTES", 8)
    file = tmp_path / "large.h5"
    file.write_bytes(bytes(range(250)) * 20)

    before = fingerprint_file(file)
    file.write_bytes(bytes(range(250)) * 19 + bytes(250))
    after = fingerprint_file(file)

    assert "sha256" not in before
    assert before["sha256_of_pieces"] != after["sha256_of_pieces"]
