// The few lines that the core's own tests need: checks that say what failed, and a count.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace elman::test {

inline int n_passed = 0;
inline int n_failed = 0;

inline void check(bool holds, const char* what, const char* file, int line) {
    ++(holds ? n_passed : n_failed);
    if (!holds) std::printf("%s:%d: %s\n", file, line, what);
}

inline int report() {
    std::printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace elman::test

#define CHECK(condition) elman::test::check((condition), #condition, __FILE__, __LINE__)
