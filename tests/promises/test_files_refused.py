"""Every case of `file_cases.py`, from a file and as a pickle: the error, and nothing else."""

import functools
import re

import promises.series_file_cases  # noqa: F401  adds its own to CASES
import pytest
from elman import ModelFileError, load
from elman._model import Model
from model_files import file_of, read
from promises.file_cases import CASES, FORM, base_files

base_files = functools.cache(base_files)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "model.safetensors"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_file_is_refused_and_so_is_a_pickle(case, path):
    """Case 109: what a pickle carries goes the same way."""
    good = base_files()[case.model]
    bad = case.make(good)
    assert bad != good
    path.write_bytes(bad)
    with pytest.raises(ModelFileError) as error:
        load(path)
    message = str(error.value)
    assert type(error.value) is case.error, message
    assert re.search(FORM, message), message
    assert re.search(case.message, message), message
    assert len(message) < 1000
    with pytest.raises(case.error):
        object.__new__(Model).__setstate__(bad)


def test_the_good_ones_are_read():
    for good in base_files().values():
        assert file_of(read(good)) == good
