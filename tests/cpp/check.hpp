// The few lines that the core's own tests need: checks that say what failed, and a count; gradients
// against central differences.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "elman/memory.hpp"
#include "elman/random.hpp"

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

// How far the slopes that a gradient tells along a few random directions, in each of which every
// weight has its share, are from central differences of loss(weights); in lengths of the gradient.
template <class Loss>
double gradient_error(const Array<double>& weights, const Array<double>& gradient,
                      const Loss& loss) {
    const double n = double(weights.size()), step = 1e-5 / std::sqrt(n);
    double squares = 0.0, worst = 0.0;
    for (const double g : gradient) squares += g * g;
    for (std::uint64_t direction = 0; direction < 3; ++direction) {
        Array<double> up = weights, down = weights;
        double slope = 0.0;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const double d = random_normal(100 + direction, std::uint64_t(i));
            up[i] += step * d;
            down[i] -= step * d;
            slope += gradient[i] * d;
        }
        worst = std::max(worst, std::abs((loss(up) - loss(down)) / (2.0 * step) - slope));
    }
    return worst / std::sqrt(squares);
}

}  // namespace elman::test

#define CHECK(condition) elman::test::check((condition), #condition, __FILE__, __LINE__)
