"""Damaged descriptions of fields are told as damage."""

import re

import h5py
import pytest
from tests.support.build import make_archs4

from expressome.archs4.description import describe_archs4
from expressome.archs4.reader import open_archs4
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


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("data/expression", "type of data/expression cannot be read"),
        ("meta/samples/title", "description of the field 'title' in meta/samples is damaged"),
    ],
)
def test_a_type_that_there_is_not_is_damage(field, said, tmp_path):
    path = make_archs4(tmp_path / "x.h5", 6, 8)
    with h5py.File(path, "r+") as file:
        shape = file[field].shape
        del file[field]
        # A type of times, which HDF5 has and numpy has not; a flipped byte makes one.
        space = h5py.h5s.create_simple(shape)
        h5py.h5d.create(file.id, field.encode(), h5py.h5t.UNIX_D32LE, space)

    with pytest.raises(DamagedFileError, match=said):
        open_archs4(path).samples  # noqa: B018 - read when it is asked for
