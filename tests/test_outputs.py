import pytest

from expressome.errors import InputNotFoundError, OutputExistsError
from expressome.outputs import check_input, check_output, partial_path, staged_output


def write_half(place, **options):
    with staged_output(place, **options) as partial:
        partial.write_text("half")
        msg = "stop"
        raise ValueError(msg)


def test_a_missing_input_is_named_with_the_working_folder(tmp_path):
    with pytest.raises(InputNotFoundError, match=r"none\.h5 does not exist; check the path"):
        check_input(tmp_path / "none.h5")


def test_an_existing_output_is_not_replaced_unasked(tmp_path):
    place = tmp_path / "atlas.zarr"
    place.mkdir()

    with pytest.raises(OutputExistsError, match="exists; choose another output"):
        check_output(place)
    assert check_output(place, overwrite=True) == place


def test_an_output_without_its_folder_is_refused(tmp_path):
    with pytest.raises(InputNotFoundError, match="create it first"):
        check_output(tmp_path / "no" / "atlas.zarr")


def test_a_failure_leaves_the_old_output_and_no_half_file(tmp_path):
    place = tmp_path / "labels.tsv"
    place.write_text("old")

    with pytest.raises(ValueError, match="stop"):
        write_half(place, overwrite=True)

    assert place.read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]


def test_a_resumable_writer_keeps_its_partial_output(tmp_path):
    place = tmp_path / "atlas.zarr"

    with pytest.raises(ValueError, match="stop"):
        write_half(place, keep_partial=True)

    assert partial_path(place).is_file()


@pytest.mark.parametrize("old_is_folder", [True, False])
@pytest.mark.parametrize("new_is_folder", [True, False])
def test_a_complete_output_replaces_the_old_one(tmp_path, old_is_folder, new_is_folder):
    place = tmp_path / "out"
    place.mkdir() if old_is_folder else place.write_text("old")

    with staged_output(place, overwrite=True) as partial:
        partial.mkdir() if new_is_folder else partial.write_text("new")

    assert place.is_dir() is new_is_folder
    assert list(tmp_path.iterdir()) == [place]
