"""Every case of `file_cases.py`, from a file and as a pickle: the error, and nothing else."""

import functools
import re

import pytest
from elman import ModelFileError, load
from elman._model import Model
from model_files import file_of, read
from promises.file_cases import CASES, FORM, base_files

base_files = functools.cache(base_files)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_file_is_refused(case, tmp_path):
    good = base_files()[case.model]
    bad = case.make(good)
    assert bad != good
    path = tmp_path / "model.safetensors"
    path.write_bytes(bad)
    with pytest.raises(ModelFileError) as error:
        load(path)
    message = str(error.value)
    assert type(error.value) is case.error, message
    assert re.search(FORM, message), message
    assert re.search(case.message, message), message
    assert len(message) < 1000


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_pickle_is_refused(case):
    """Case 109: what a pickle carries goes the same way."""
    bad = case.make(base_files()[case.model])
    with pytest.raises(case.error):
        object.__new__(Model).__setstate__(bad)


def test_the_good_ones_are_read():
    for good in base_files().values():
        assert file_of(read(good)) == good
