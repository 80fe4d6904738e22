"""Every registered data set: its entry, and the table it gives."""

from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from pfc_metarl.data import DATA_SETS, load
from pfc_metarl.data.registry import Counts
from pfc_metarl.trial_files import load as open_table
from pfc_metarl.trial_files import save
from pfc_metarl.trials import VARIABLES, validate

every_data_set = pytest.mark.parametrize("name", sorted(DATA_SETS))


@pytest.fixture
def table(name: str, data_folder: Callable[[str], Path]) -> xr.Dataset:
    return load(name, data_folder(name))


@every_data_set
def test_an_entry_is_found_under_its_own_name(name: str):
    assert DATA_SETS[name].name == name


@every_data_set
def test_an_entry_says_whose_data_it_is_and_where_it_is_kept(name: str):
    data_set = DATA_SETS[name]
    assert "doi:" in data_set.citation
    assert all((data_set.title, data_set.species, data_set.task, data_set.licence))
    assert all((data_set.archive, data_set.source))


@every_data_set
def test_every_file_has_a_sum_and_an_address(name: str):
    assert DATA_SETS[name].files
    for file in DATA_SETS[name].files:
        assert len(file.sha256) == 64
        assert int(file.sha256, 16)
        assert file.url.startswith("https://")
        assert not Path(file.name).is_absolute()


@every_data_set
@pytest.mark.data
def test_a_table_keeps_the_contract_and_survives_the_disk(
    table: xr.Dataset, tmp_path: Path
):
    validate(table)
    save(table, tmp_path / "table.nc")
    assert open_table(tmp_path / "table.nc").identical(table)


@every_data_set
@pytest.mark.data
def test_a_table_says_where_it_comes_from_in_plain_strings(
    table: xr.Dataset, name: str
):
    assert table.attrs == DATA_SETS[name].attributes()
    assert all(type(value) is str for value in table.attrs.values())


@every_data_set
@pytest.mark.data
def test_columns_of_its_own_say_what_they_are(table: xr.Dataset):
    own = set(table.data_vars) - set(VARIABLES) - {"subject_id", "session_name"}
    for column in own:
        assert table[column].attrs["long_name"] not in ("", column)


@every_data_set
@pytest.mark.data
def test_a_table_holds_what_was_published(table: xr.Dataset, name: str):
    assert DATA_SETS[name].counts == Counts(
        subjects=table.subject_id.size,
        sessions=table.session_name.size,
        trials=table.sizes["trial"],
        invalid=int((table.valid == 0).sum()),
        forced=int((table.forced == 1).sum()),
    )
