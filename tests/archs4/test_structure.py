"""Damaged descriptions of fields are told as damage."""

import re

import pytest
from tests.support.build import make_archs4

from expressome.archs4.description import describe_archs4
from expressome.errors import DamagedFileError


def test_a_field_name_that_is_no_utf8_is_damage(tmp_path):
    path = make_archs4(tmp_path / "x.h5")
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"organism_ch1", b"or\xffanism_ch1"))

    with pytest.raises(DamagedFileError, match=r"field b'or\\xffanism_ch1' in meta/samples is dam"):
        describe_archs4(path)


def test_a_corrupt_string_encoding_is_damage(tmp_path):
    path = make_archs4(tmp_path / "x.h5")
    content = bytearray(path.read_bytes())
    # HDF5 writes a variable-length UTF-8 string as class 9 version 1, type 1, character set 1.
    flags = [match.start() + 2 for match in re.finditer(rb"\x19\x01\x01\x00\x10", content)]
    assert flags
    content[flags[0]] ^= 0x0F
    path.write_bytes(content)

    with pytest.raises(DamagedFileError, match=r"damaged \(Unknown string encoding \(value 14\)\)"):
        describe_archs4(path)
