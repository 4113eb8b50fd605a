"""The package as installed: versions, the choice of the compiled core, docstring examples."""

import ast
import doctest
import importlib
import importlib.metadata
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import elman
import pytest
from elman import _core, _cpu, _isa

NO_ISA = {name: value for name, value in os.environ.items() if name != "ELMAN_ISA"}


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**NO_ISA, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def python_modules():
    names = [module.name for module in pkgutil.walk_packages(elman.__path__, "elman.")]
    return ["elman", *(name for name in names if "_core_" not in name)]


@pytest.mark.parametrize("name", python_modules())
def test_docstring_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_version_is_the_distribution_s():
    assert elman.__version__ == importlib.metadata.version("elman")


def test_types_are_published():
    assert (Path(elman.__file__).parent / "py.typed").is_file()


def test_the_stub_names_what_the_compiled_core_has():
    stub = ast.parse((Path(elman.__file__).parent / "_core.pyi").read_text(encoding="utf-8"))
    for statement in stub.body:
        if isinstance(statement, ast.ClassDef):
            assert hasattr(_core, statement.name)
            for member in ast.walk(statement):
                if isinstance(member, ast.FunctionDef):
                    assert hasattr(getattr(_core, statement.name), member.name)


@pytest.mark.parametrize("isa", _isa.available())
def test_each_instruction_set_of_this_machine_can_be_chosen(isa):
    result = run_python("from elman import _core; print(_core.isa)", ELMAN_ISA=isa)
    assert result.stdout.split() == [isa], result.stderr


def test_the_fastest_instruction_set_is_chosen():
    result = run_python("from elman import _core; print(_core.isa)")
    assert result.stdout.split() == [_isa.available()[-1]], result.stderr


def test_an_unknown_instruction_set_is_an_import_error():
    result = run_python("from elman import _core", ELMAN_ISA="sse9")
    assert "ImportError: ELMAN_ISA: got 'sse9', expected one of baseline, avx2" in result.stderr


def test_an_instruction_set_that_is_not_installed_is_an_import_error(monkeypatch):
    monkeypatch.setattr(_isa, "_is_built", lambda isa: isa == "baseline")
    monkeypatch.setenv("ELMAN_ISA", "avx2")
    with pytest.raises(ImportError, match="'avx2', which is not installed; expected baseline"):
        _isa.choose()


def test_an_instruction_set_that_the_machine_lacks_is_an_import_error(monkeypatch):
    monkeypatch.setattr(_isa, "_is_built", lambda isa: True)
    monkeypatch.setattr(_cpu, "usable_isas", lambda: ["baseline"])
    monkeypatch.setenv("ELMAN_ISA", "avx2")
    with pytest.raises(
        ImportError, match="'avx2', which this machine cannot run; expected baseline"
    ):
        _isa.choose()


def test_without_any_usable_core_the_import_error_says_so(monkeypatch):
    monkeypatch.setattr(_isa, "_is_built", lambda isa: False)
    monkeypatch.delenv("ELMAN_ISA", raising=False)
    with pytest.raises(ImportError, match=r"no compiled core can be used: .* installed are none"):
        _isa.choose()


WITHOUT_OPTIONAL_PACKAGES = """
import sys
for name in ("matplotlib", "pandas", "polars", "pyarrow", "onnx", "tqdm"):
    sys.modules[name] = None
import numpy as np
from elman import RNNRegressor
X = np.zeros((4, 3, 2))
print(RNNRegressor(tol=1.0, verbose=True).fit(X, X[:, 0, 0]).predict(X).shape)
"""


def test_nothing_but_numpy_and_scikit_learn_is_needed():
    result = run_python(WITHOUT_OPTIONAL_PACKAGES)
    assert result.stdout.splitlines()[-1] == "(4,)", result.stderr


SUBINTERPRETER = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
identity = interpreters.create()
code = '''
try:
    from elman import _core
except ImportError as error:
    assert "sub-interpreter" in str(error)
else:
    raise AssertionError("it was imported")
'''
error = getattr(interpreters, "exec", interpreters.run_string)(identity, code)
assert error is None, error
interpreters.destroy(identity)
from elman import _core
print("survived")
"""


def test_a_subinterpreter_is_refused_with_an_import_error():
    result = run_python(SUBINTERPRETER)
    assert result.stdout.split() == ["survived"], result.stderr


def test_show_versions_tells_what_runs_here(capsys):
    elman.show_versions()
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["elman"] == elman.__version__
    assert lines["instruction set"] == _core.isa
    assert lines["instruction sets available"].split(", ") == _isa.available()
    assert lines["python"].startswith(".".join(map(str, sys.version_info[:3])))
    for name in ("numpy", "scikit-learn"):
        assert lines[name] == importlib.metadata.version(name)
    assert int(lines["threads"]) >= 1
    assert lines["platform"]


def test_show_versions_tells_what_is_not_installed(monkeypatch, capsys):
    from elman import _show_versions

    monkeypatch.setattr(_show_versions, "OPTIONAL", ("a-distribution-that-nobody-has",))
    elman.show_versions()
    assert "a-distribution-that-nobody-has: not installed" in capsys.readouterr().out
